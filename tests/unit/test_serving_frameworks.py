"""What can be told of a model's file without running any of its code."""

from __future__ import annotations

import json
import pickle
from collections import OrderedDict
from fractions import Fraction
from pathlib import Path

import pytest

from specrunner.core.errors import BadInput
from specrunner.engine.serving.frameworks import (
    DEFAULT_REQUIREMENTS,
    Framework,
    check,
    framework_of,
    pickled_modules,
    requirements_of,
)
from tests.integration.model_samples import DOUBLE, zipped


class Trap:
    """Unpickling this would be heard of."""

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return pytest.fail, ("it was unpickled",)


def test_a_framework_that_is_not_served_is_refused_by_name() -> None:
    assert framework_of({}) is Framework.ONNX
    with pytest.raises(BadInput, match="framework 'pytorch'") as error:
        framework_of({"framework": "pytorch"})
    assert "onnx, python, statsmodels, sklearn, xgboost" in error.value.detail


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_read_for_names_and_never_run(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "trap.pkl"
    path.write_bytes(pickle.dumps([Trap(), Fraction(1, 3)], protocol))
    names = pickled_modules(path)
    assert "_pytest" in names


@pytest.mark.parametrize("content", [b"", b"\x80", b"\x80\x04", b"garbage" * 100, b"\x80\x04\x8c\xff"])
def test_what_is_no_pickle_names_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.pkl"
    path.write_bytes(content)
    assert pickled_modules(path) == frozenset()


def global_of(module: str) -> bytes:
    """A pickle that would import a class of this module."""
    return b"\x80\x02c" + module.encode() + b".thing\nThing\n."


@pytest.mark.parametrize("name", ["statsmodels", "sklearn", "xgboost"])
def test_a_pickle_uploaded_as_python_gets_the_environment_of_what_it_holds(tmp_path: Path, name: str) -> None:
    path = tmp_path / "m.pkl"
    path.write_bytes(global_of(name))
    wanted = "\n".join(DEFAULT_REQUIREMENTS[Framework(name)])
    assert requirements_of(path, {"framework": "python"}) == wanted
    assert requirements_of(path, {"framework": name}) == wanted


def test_requirements_come_from_the_spec_else_the_zip_else_the_framework(tmp_path: Path) -> None:
    bare = zipped(tmp_path / "bare.zip", {"model.py": DOUBLE})
    own = zipped(tmp_path / "own.zip", {"m/model.py": DOUBLE, "m/requirements.txt": "idna==3.4\n"})
    assert requirements_of(bare, {"framework": "python"}) == ""
    assert requirements_of(bare, {"framework": "sklearn"}) == "scikit-learn>=1.5,<2"
    assert requirements_of(own, {"framework": "sklearn"}) == "idna==3.4\n"
    assert requirements_of(own, {"framework": "python", "requirements": ["attrs", "idna<3"]}) == "attrs\nidna<3"


GOOD = {
    "folder": ("m.zip", "python", None),
    "script": ("m.py", "python", DOUBLE.encode()),
    "pickle": ("m.pkl", "python", pickle.dumps(OrderedDict(a=1))),
    "old pickle": ("m.pkl", "sklearn", pickle.dumps(OrderedDict(a=1), 0)),
    "booster": ("m.json", "xgboost", json.dumps({"learner": {}}).encode()),
    "results": ("m.anything", "statsmodels", pickle.dumps({"model": 1})),
}


@pytest.mark.parametrize("case", GOOD)
def test_what_may_be_a_model_is_let_through(tmp_path: Path, case: str) -> None:
    name, framework, content = GOOD[case]
    path = tmp_path / name
    if content is None:
        zipped(path, {"model.py": DOUBLE})
    else:
        path.write_bytes(content)
    check(path, name, {"framework": framework})


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"main.py": ""}, "no model.py"),
        ({"a/model.py": "", "b/model.py": ""}, "several model.py"),
        ({"a/b/model.py": ""}, "no model.py"),
        ({"model.py": "", "requirements.txt": "", "x/requirements.txt": ""}, "2 requirements.txt"),
        ({"model.py": "", "../x": ""}, "would leave the bundle"),
    ],
)
def test_a_folder_that_is_no_model_is_refused_with_the_reason(
    tmp_path: Path, files: dict[str, str], words: str
) -> None:
    path = zipped(tmp_path / "m.zip", files)
    with pytest.raises(BadInput) as error:
        check(path, "m.zip", {"framework": "python"})
    assert words in error.value.detail and error.value.remedy


@pytest.mark.parametrize("framework", ["python", "statsmodels", "sklearn", "xgboost"])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, framework: str) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"\x08\x08\x12\x07pytorch")
    with pytest.raises(BadInput, match=rf"no {framework} model"):
        check(path, "m.onnx", {"framework": framework})
