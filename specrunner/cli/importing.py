"""import: what is live and no file declares, as YAML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from specrunner.cli.options import key as key_of
from specrunner.cli.terminal import say
from specrunner.cli.wiring import check_applied, directory_option, environment_option, load_desired, open_target
from specrunner.core.errors import NotFound, Refused, SpecrunnerError, UsageError
from specrunner.core.keys import Key
from specrunner.core.resources import Desired, Live, LiveObject, references_of
from specrunner.report.lines import Line, counted

if TYPE_CHECKING:
    from specrunner.spec.importing import Imported
    from specrunner.targets.base import Target

_FILE: Final = "imported.yaml"
_WHY: Final = (
    "Nothing was imported: import reads the specs to know the target, and to leave out what they declare already."
)


@click.command("import")
@click.argument("keys", nargs=-1, type=key_of, metavar="[KEY]...")
@directory_option
@environment_option
@click.option("--out", metavar="DIR|FILE", help="Write there, with the files of models and code beside.")
def import_(keys: tuple[Key, ...], root: Path, environment: str | None, out: str | None) -> int:
    """Write YAML for what is live and no file declares yet: these objects with what they need, or all of them.

    Secrets become references for you to fill in. Nothing on the target is changed: `specrunner apply --adopt KEY`
    takes the objects over afterwards.
    """
    from specrunner.spec.importing import imported

    check_applied(root)
    desired = load_desired(root, environment, offline=True, why=_WHY)
    file = _file(root, out) if out else None
    folder = file.parent.relative_to(root).as_posix() if file else "."
    with open_target(root, desired) as target:
        found = _chosen(target.read(), desired, keys)
        result = imported(found, lambda key: _stored(target, key), "" if folder == "." else folder)
    if file is None:
        click.echo(result.text, nl=False)
    elif result.documents:
        _write(root, file, result)
    say(_remarks(root, file, result, found), stderr=True)
    return 0


def _stored(target: Target, key: Key) -> tuple[str, bytes] | None:
    found = target.stored(key)
    return None if found is None else (found.file_name, found.data)


def _file(root: Path, out: str) -> Path:
    """The file to write. Raises UsageError for one outside the specs, or one that is there already."""
    path = Path(out).resolve()
    file = path if path.suffix in {".yaml", ".yml"} and not path.is_dir() else path / _FILE
    if not file.is_relative_to(root):
        raise UsageError(
            f"{out} is outside the spec repository.",
            detail="Specs name their files relative to its root.",
            remedy=f"Name a place below {root}.",
        )
    return file


def _chosen(live: Live, desired: Desired, keys: Sequence[Key]) -> list[LiveObject]:
    """What to import. Raises NotFound, or Refused for what is declared or another's."""
    free = {
        key: found
        for key, found in live.items()
        if key not in desired.resources and found.owner in {None, desired.owner}
    }
    for key in keys:
        if key not in free:
            raise _not_free(key, live, desired)
    return [free[key] for key in sorted(_with_needed(keys, free) if keys else free)]


def _with_needed(keys: Iterable[Key], free: Live) -> set[Key]:
    found: set[Key] = set()
    waiting = list(keys)
    while waiting:
        key = waiting.pop()
        if key in free and key not in found:
            found.add(key)
            waiting += references_of(key, free[key].spec)
    return found


def _not_free(key: Key, live: Live, desired: Desired) -> SpecrunnerError:
    if key not in live:
        from difflib import get_close_matches

        near = get_close_matches(str(key), [str(other) for other in live], n=1, cutoff=0.5)
        remedy = f"Did you mean `{near[0]}`?" if near else "`specrunner status` lists what is live."
        return NotFound(f"{key} is not on the target.", remedy=remedy)
    if key in desired.resources:
        place = desired.resources[key].place
        return Refused(f"{key} is declared already, at {place}.", remedy="Import what no file declares.", place=place)
    return Refused(
        f"{key} belongs to {live[key].owner}.",
        detail="Another project, or another environment of this one, has put it there.",
        remedy="Import it in the repository that it belongs to.",
    )


def _write(root: Path, file: Path, result: Imported) -> None:
    from specrunner.spec.importing import existing, write_files

    files = {**result.files, file.relative_to(root).as_posix(): result.text.encode()}
    there = existing(root, list(files))
    if there:
        raise Refused(
            f"{there[0]} is there already{f', and {len(there) - 1} more' if len(there) > 1 else ''}.",
            detail="import overwrites nothing.",
            remedy="Name another place with --out, or move what is there.",
        )
    try:
        write_files(root, files)
    except OSError as problem:
        raise SpecrunnerError(
            f"The import can't be written: {problem.strerror}.", remedy="Name a folder that you may write, with --out."
        ) from problem


def _remarks(root: Path, file: Path | None, result: Imported, found: Sequence[LiveObject]) -> Iterable[Line]:
    """What was done, and what is left to do."""
    if not found:
        yield Line("Nothing to import: files declare all that is live, or it belongs to others.")
        return
    if file is not None and result.documents:
        beside = f", with {counted(len(result.files), 'file')} beside" if result.files else ""
        what = counted(len(result.documents), "object")
        yield Line(f"Imported {what} to {file.relative_to(root)}{beside}.", "create")
    elif result.files:
        yield Line("The files of models and code are written with --out DIR only.", "warning")
    for key in result.missing:
        yield Line(f"Left out {key}: the target has lost its bytes.", "warning")
    if result.to_fill_in:
        yield Line("Secrets are not imported. Set these variables, or write another source:", "warning")
        yield from (Line(f"    {one.variable}  for `{one.path}` of {one.key}") for one in result.to_fill_in)
    missing = set(result.missing)
    adopt = [key for key in (one.key for one in found if one.owner is None) if key not in missing]
    if adopt and file is not None:
        yield Line("Look through what was written, then take it over:")
        yield Line(f"    specrunner plan {' '.join(_adopt_word(key) for key in adopt[:3])}{' …' if adopt[3:] else ''}")


def _adopt_word(key: Key) -> str:
    import shlex

    return f"--adopt {shlex.quote(str(key))}"
