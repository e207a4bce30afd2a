"""JSON and C calls without the imports of the public modules: the same answers as theirs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrunner.engine.tasks import light

ROOT = Path(__file__).resolve().parents[2]
_values: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(_values)
def test_what_is_written_is_what_the_package_writes_and_reads(value: Any) -> None:
    assert light.written(value) == json.dumps(value)
    assert light.parse(light.written(value).encode()) == value


@given(_values, st.sampled_from([None, 1, "\t"]))
def test_every_form_of_json_is_read(value: Any, indent: int | str | None) -> None:
    text = "\n" + json.dumps(value, indent=indent, ensure_ascii=False) + " "
    assert light.parse(text.encode()) == value


@pytest.mark.parametrize("text", [b"", b"{torn", b'{"a": 1} more', b"'a'", b"[1,]", b'"\xff"', b"nul"])
def test_what_is_no_json_is_a_value_error(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        light.parse(text)


def test_what_is_wrong_is_said_also_before_anyone_has_imported_the_package() -> None:
    code = (
        f"import sys; sys.path.append({str(ROOT)!r})\nfrom specrunner.engine.tasks import light\n"
        "assert 'json' not in sys.modules\n"
        "try:\n    light.parse(b'{torn')\nexcept ValueError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Expecting property name")


def test_the_supervisor_comes_up_without_the_modules_that_cost_it_most() -> None:
    code = (
        f"import sys; sys.path.append({str(ROOT)!r})\nimport specrunner.engine.tasks.supervisor\n"
        "heavy = {'json', 're', 'enum', 'collections', 'contextlib', 'ctypes', 'pathlib', 'typing'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_option_that_the_kernel_does_not_know_is_refused() -> None:
    assert not light.prctl(2**30, 1)
