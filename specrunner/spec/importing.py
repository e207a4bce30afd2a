"""`import`: what is live, as the documents that a person would have written.

Nothing that follows from something else is written: no default, no sha. Durations and sizes are written as people
write them, and a text that looks like a variable as the language writes such texts. A secret is never written: where
it is known from which source it came, that stands there; else a variable to be filled in, and the result lists it.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, Final

from specrunner.core.bundles import Manifest
from specrunner.core.keys import Key, Kind
from specrunner.core.resources import LiveObject
from specrunner.core.values import MASK, Json, JsonObject, canonical, format_duration, parse_duration
from specrunner.spec.bundle import BadBundle, zip_folder
from specrunner.spec.formatting import in_order
from specrunner.spec.globs import Selection
from specrunner.spec.normalise import completed
from specrunner.spec.rendering import dumped, escaped
from specrunner.spec.schema import API_VERSION, property_schema, schema_of

# The bytes of a live object, and what their file was called; None where the target has none.
Bytes = Callable[[Key], tuple[str, bytes] | None]

_SECRET_NAME: Final = re.compile(
    r"pass(word|wd|phrase)?$|pwd|secret|token|credential|api_?key|access_?key|private_?key|signature|connection_?string"
    r"|^(auth|authorization|dsn|key|sas)$",
    re.IGNORECASE,
)
_SECRET_TEXT: Final = re.compile(r"-----BEGIN |://[^/\s:@]*:[^/\s@]+@")
_SIZES: Final = tuple((f"{letter}i", 1024**power) for power, letter in reversed(list(enumerate("KMGT", 1))))
_FOLDERS: Final = {Kind.MODEL: ("models", "path"), Kind.ORCHESTRATION: ("orchestrations", "source")}


@dataclass(frozen=True, slots=True)
class ToFillIn:
    """A secret of an imported object that a person has to provide, in the variable `variable`."""

    key: Key
    path: str
    variable: str


@dataclass(slots=True)
class Imported:
    """What an import gives: a stream of documents, the files they name, and what is left to do.

    `files` are by their paths as the documents name them; `missing` are objects whose bytes the target has lost, so
    that no document can declare them.
    """

    documents: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    to_fill_in: list[ToFillIn] = field(default_factory=list)
    missing: list[Key] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The documents as a file of specs."""
        return dumped(self.documents)


def imported(objects: Iterable[LiveObject], stored: Bytes, folder: str = "") -> Imported:
    """The documents of these objects. `folder`, relative to the root of the specs, is where their files will stand."""
    result = Imported()
    for found in sorted(objects, key=lambda one: one.key):
        spec = _spec(found, result)
        if found.key.kind in _FOLDERS:
            name = _add_files(found, stored, folder, result)
            if name is None:
                result.missing.append(found.key)
                continue
            spec[_FOLDERS[found.key.kind][1]] = name
        result.documents.append(_document(found, spec))
    return result


def _document(found: LiveObject, spec: JsonObject) -> dict[str, Any]:
    key = found.key
    metadata: dict[str, Json] = {"name": key.name}
    metadata |= {"workspace": key.workspace} if key.workspace else {}
    metadata |= {"labels": dict(found.labels)} if found.labels else {}
    metadata |= {"description": found.description} if found.description else {}
    metadata |= {"protect": True} if found.protect else {}
    whole = {"apiVersion": API_VERSION, "kind": str(key.kind), "metadata": metadata, "spec": spec}
    if not spec and key.kind is Kind.WORKSPACE:
        del whole["spec"]
    ordered: dict[str, Any] = escaped(in_order(whole, schema_of(key.kind)))
    return ordered


def _spec(found: LiveObject, result: Imported) -> dict[str, Any]:
    schema = property_schema(schema_of(found.key.kind), "spec") or {}
    known = {name: value for name, value in found.spec.items() if name in schema["properties"]}
    spec = _with_sources(found, known, result)
    defaults = completed({"spec": {}}, found.key.kind)["spec"]
    kept = {name: value for name, value in spec.items() if canonical(value) != canonical(defaults.get(name))}
    return {name: _written(value, schema["properties"][name]) for name, value in kept.items() if _says(value)}


def _says(value: Json) -> bool:
    return value is not None and value not in ("", [], {})


def _written(value: Json, schema: JsonObject) -> Json:
    """A value as people write it: without defaults, numbers with their units."""
    if isinstance(value, Mapping) and "properties" in schema:
        parts = schema["properties"]
        kept = {
            name: _written(item, parts.get(name, {}))
            for name, item in value.items()
            if item is not None and not _is_default(item, parts.get(name, {}))
        }
        return kept["cron"] if set(kept) == {"cron"} else kept
    if isinstance(value, list | tuple):
        return [_written(item, schema.get("items", {})) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return _UNITS.get(schema.get("x-def", ""), _number)(value)
    return value


def _is_default(value: Json, schema: JsonObject) -> bool:
    if "default" not in schema:
        return False
    default = schema["default"]
    if schema.get("x-def") == "duration":
        default = parse_duration(default)
    return canonical(value) == canonical(default)


def _number(value: int) -> Json:
    return value


def _size(value: int) -> Json:
    """`512Mi` for 536870912; a number that no unit divides stays as it is."""
    return next((f"{value // unit}{letter}" for letter, unit in _SIZES if value and value % unit == 0), value)


def _duration(value: int) -> Json:
    return format_duration(value)


_UNITS: Final[Mapping[str, Callable[[int], Json]]] = {"duration": _duration, "size": _size}


def _with_sources(found: LiveObject, spec: JsonObject, result: Imported) -> dict[str, Any]:
    """The spec with a source for every secret and no secret."""
    whole = dict(spec)
    if found.key.kind is Kind.CONNECTION:
        _hide_details(found, whole, result)
    if isinstance(whole.get("secretEnv"), Mapping):
        whole["secretEnv"] = {
            name: _source(found.key, f"secretEnv.{name}", source, name, result)
            for name, source in whole["secretEnv"].items()
        }
    if found.key.kind is Kind.TASK and found.owner is None:
        _hide_variables(found.key, whole, result)
    return whole


def _hide_details(found: LiveObject, spec: dict[str, Any], result: Imported) -> None:
    """What an owner put into `details` stood in a file before; what was put there by hand may be a secret."""
    details = dict(spec.get("details") or {})
    hidden = found.owner is None or "details" in found.opaque
    secret = {name for name, value in details.items() if value == MASK or (hidden and _may_be_secret(name, value))}
    whole = "details" in found.opaque and not details
    spec["details"] = {name: value for name, value in details.items() if name not in secret}
    if secret or whole or spec.get("detailsFrom"):
        variable = _variable(found.key.name, "details")
        spec["detailsFrom"] = _source(found.key, "detailsFrom", spec.get("detailsFrom"), variable, result)


def _hide_variables(key: Key, spec: dict[str, Any], result: Imported) -> None:
    variables = dict(spec.get("env") or {})
    secret = [name for name, value in variables.items() if _may_be_secret(name, value)]
    for name in secret:
        source = _source(key, f"secretEnv.{name}", None, name, result)
        spec["secretEnv"] = {**(spec.get("secretEnv") or {}), name: source}
        del variables[name]
    if secret:
        spec["env"] = variables


def _may_be_secret(name: str, value: Json) -> bool:
    """By its name or its form: too much is asked for again, rather than one password written to git."""
    if isinstance(value, Mapping):
        return bool(_SECRET_NAME.search(name)) or any(_may_be_secret(str(part), item) for part, item in value.items())
    if isinstance(value, list | tuple):
        return bool(_SECRET_NAME.search(name)) or any(_may_be_secret("", item) for item in value)
    return bool(_SECRET_NAME.search(name)) or (isinstance(value, str) and bool(_SECRET_TEXT.search(value)))


def _source(key: Key, path: str, known: Json, variable: str, result: Imported) -> JsonObject:
    """The source that is known, or a variable to be filled in."""
    if isinstance(known, Mapping) and set(known) & {"env", "file", "exec"}:
        return dict(known)
    result.to_fill_in.append(ToFillIn(key, path, variable))
    return {"env": variable}


def _variable(*parts: str) -> str:
    name = re.sub(r"\W+", "_", "_".join(parts), flags=re.ASCII).strip("_").upper()
    return name if name and not name[0].isdigit() else f"_{name}"


def _add_files(live: LiveObject, stored: Bytes, folder: str, result: Imported) -> str | None:
    """Put an object's bytes among the files; the name for the document, or None where the target has lost them."""
    key, found = live.key, stored(live.key)
    if found is None:
        return None
    file_name, data = found
    suffix = PurePosixPath(file_name).suffix or (".onnx" if live.spec.get("framework") == "onnx" else "")
    stem = _unused(PurePosixPath(folder, _FOLDERS[key.kind][0], _file_name(key.name)), suffix, result.files)
    unpacked = _unpacked(data) if key.kind is Kind.ORCHESTRATION else None
    if unpacked:
        result.files |= {f"{stem}/{name}": content for name, content in unpacked.items()}
        return stem
    suffix = ".zip" if key.kind is Kind.ORCHESTRATION else suffix
    result.files[stem + suffix] = data
    return stem + suffix


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "unnamed"


def _unused(path: PurePosixPath, suffix: str, files: Iterable[str]) -> str:
    taken = {part for name in files for part in (name, *map(str, PurePosixPath(name).parents))}
    number, stem = 1, str(path)
    while {stem, stem + suffix, f"{stem}.zip"} & taken:
        number += 1
        stem = f"{path}-{number}"
    return stem


def _unpacked(data: bytes) -> dict[str, bytes] | None:
    """The files of a zip whose folder would give the very same zip; None for any other, which stays a zip."""
    try:
        names = [entry.name for entry in Manifest.of_zip(data).entries]
        with zipfile.ZipFile(BytesIO(data)) as archive:
            files = {name: archive.read(name) for name in names}
            programs = {info.filename for info in archive.infolist() if info.external_attr >> 16 & 0o100}
    except (ValueError, zipfile.BadZipFile):
        return None
    if programs or any(not _is_plain(name) for name in names):
        return None
    with TemporaryDirectory(prefix="specrunner-import-") as scratch:
        write_files(Path(scratch), files)
        try:
            same = zip_folder(Path(scratch), Selection(), Path(scratch)) == data
        except BadBundle:
            return None
    return files if same else None


def _is_plain(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and str(path) == name and "\\" not in name


def existing(root: Path, names: Sequence[str]) -> list[str]:
    """Which of these files are there already."""
    return [name for name in names if (root / name).exists() or (root / name).is_symlink()]


def write_files(root: Path, files: Mapping[str, bytes]) -> None:
    """Write files below a folder, all or none. Raises OSError; FileExistsError where one is there already."""
    written: list[Path] = []
    try:
        for name, data in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as stream:
                written.append(path)
                stream.write(data)
    except OSError:
        for path in written:
            path.unlink(missing_ok=True)
        raise
