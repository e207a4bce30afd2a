"""The frameworks of models: what they are called, which environment each gets by itself, what their files look like.

Nothing here runs a model's code: a pickle is read as the list of names that it would import.
"""

from __future__ import annotations

import pickletools
import zipfile
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from specrunner.core.errors import BadInput, PackagingFailed
from specrunner.core.values import JsonObject
from specrunner.engine.packaging import bundles

_MOST_OPCODES = 200_000  # of a pickle that are looked at; a model names what it is made of long before


class Framework(StrEnum):
    """How a model's file is loaded."""

    ONNX = "onnx"  # by onnxruntime, in this process: a graph is data
    PYTHON = "python"  # a folder or zip with model.py, one .py file, or a pickle of anything
    STATSMODELS = "statsmodels"  # a pickle of results, or of {"model": ..., "script": text}
    SKLEARN = "sklearn"  # a pickle, or what joblib has written
    XGBOOST = "xgboost"  # a pickle, or XGBoost's own .json or .ubj


DEFAULT_REQUIREMENTS: Mapping[Framework, tuple[str, ...]] = {
    Framework.PYTHON: (),
    # Pickles of pandas 1.5 to 2.0 do not load with pandas 2.2 and later, and these are what people have.
    Framework.STATSMODELS: (
        "statsmodels==0.13.5",
        "pandas>=1.5,<2.1",
        "numpy<2",
        "scipy<1.12",
        "pyarrow>=14,<20",  # later ones want numpy 2, and do not say so in what a resolver reads
    ),
    Framework.SKLEARN: ("scikit-learn>=1.5,<2",),
    # The same module without the libraries of graphics cards, which are twenty times as large.
    Framework.XGBOOST: ("xgboost-cpu>=3,<4", "scikit-learn>=1.5,<2"),
}
"""What an upload gets that names no requirements; the base set comes on top, and a pickled `python` model what its
pickle names."""

_TOLD_BY = {"statsmodels": Framework.STATSMODELS, "sklearn": Framework.SKLEARN, "xgboost": Framework.XGBOOST}


def framework_of(config: JsonObject) -> Framework:
    """The framework of a version's configuration, ONNX where it says none. Raises BadInput for one we don't have."""
    name = config.get("framework", Framework.ONNX)
    try:
        return Framework(name)
    except ValueError:
        raise BadInput(
            f"Models of the framework {name!r} can't be served.",
            f"Served are {', '.join(Framework)}.",
            "Convert the model to ONNX, or wrap it in a folder with model.py and upload that as `python`.",
        ) from None


def requirements_of(path: Path, config: JsonObject) -> str:
    """The requirements of a model's environment, before they are locked, one a line.

    Those that its configuration names, else its own requirements.txt, else the default of its framework. Raises
    BadInput, and PackagingFailed for a zip that can't be used.
    """
    named = config.get("requirements")
    if named:
        return "\n".join(map(str, named))
    if is_folder(path):
        own = bundles.model_requirements(path)
        if own.strip():
            return own
    return "\n".join(DEFAULT_REQUIREMENTS[_told_by(path, framework_of(config))])


def is_folder(path: Path) -> bool:
    """Whether a model's file is a folder in a zip. A pickle may hold a zip, but does not begin like one."""
    with path.open("rb") as file:
        return file.read(2) == b"PK" and zipfile.is_zipfile(path)


def _told_by(path: Path, framework: Framework) -> Framework:
    """For a pickle that was uploaded as `python`: the framework of what it holds."""
    if framework is not Framework.PYTHON or is_folder(path):
        return framework
    names = pickled_modules(path)
    return next((told for name, told in _TOLD_BY.items() if name in names), framework)


def check(path: Path, file_name: str, config: JsonObject) -> None:
    """See from the file alone whether it can be a model of its framework. Raises BadInput, PackagingFailed."""
    framework = framework_of(config)
    if framework is Framework.ONNX:
        return
    if is_folder(path):
        try:
            bundles.model_requirements(path)
        except PackagingFailed as error:
            raise BadInput(
                f"{file_name} is no model that can be used.",
                error.detail,
                "Give it a folder, or a zip of one, with model.py at the top and at most one requirements.txt.",
            ) from error
    elif not _may_be_one_file(path, file_name, framework):
        raise BadInput(
            f"{file_name} is no {framework} model.",
            f"It is neither {_FORMS[framework]}.",
            "Pickle the model once more, or give a folder with model.py that defines predict(table).",
        )


_FORMS: Mapping[Framework, str] = {
    Framework.PYTHON: "a folder or zip with model.py, nor a .py file, nor a pickle",
    Framework.STATSMODELS: "a pickle nor a folder with model.py",
    Framework.SKLEARN: "a pickle, nor a file of joblib, nor a folder with model.py",
    Framework.XGBOOST: "a pickle, nor a .json or .ubj file of XGBoost, nor a folder with model.py",
}


def _may_be_one_file(path: Path, file_name: str, framework: Framework) -> bool:
    suffix = Path(file_name).suffix.lower()
    if suffix == ".py":
        return True
    if framework is Framework.XGBOOST and suffix in {".json", ".ubj"}:
        return True
    with path.open("rb") as file:
        start = file.read(2)
    # A pickle of protocol 2 to 5, or an older one; what is compressed joblib may have written.
    packed = (b"\x1f\x8b", b"BZ", b"\xfd7", b"x\x9c", b"x\x01", b"x\xda", b"\x5d\x00", b"\x04\x22")
    return start[:1] == b"\x80" or start in packed or start[:1] in {b"(", b"c", b"}", b"]"}


def pickled_modules(path: Path) -> frozenset[str]:
    """The top-level modules that a pickle would import, without importing any; empty for what is no pickle."""
    with path.open("rb") as file:
        return frozenset(_modules(file))


def _modules(file: BinaryIO) -> Iterator[str]:
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            if count > _MOST_OPCODES:
                return
            if isinstance(argument, str) and "." in argument and (opcode.name == "GLOBAL" or "UNICODE" in opcode.name):
                yield argument.partition(".")[0]
    except Exception:  # it goes over bytes that nobody vouches for, and only finds out what it can
        return
