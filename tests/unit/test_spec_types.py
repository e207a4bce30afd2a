"""What YAML 1.1 would change silently: in every field of text it stays what was written, or is refused.

Each spelling is written without quotes into each field. A field keeps it (`KEPT`: the text as written), takes it as
what it is in YAML 1.2 (`OPEN` fields, whose type is for the writer to choose), or refuses it and says to quote it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from specrunner.core.errors import InvalidSpecs
from specrunner.core.keys import Key, Kind
from specrunner.core.resources import Desired, Resource
from specrunner.spec.desired import load
from specrunner.spec.spelling import has_ambiguous, is_ambiguous
from tests.unit.spec_samples import sample, task

HEAD = "apiVersion: specrunner/v1\n"
KEPT_WHEREVER_TEXT_IS_WANTED = (
    "1.10",
    "012",
    "1e3",
    "0x1F",
    "0o17",
    "12:30:45",
    "2024-01-01",
    "on",
    "off",
    "yes",
    "no",
    "y",
    "N",
    "true",
    "False",
    "1_000",
    "685_230.15",
    "+12",
    "3.0",
    "0",
    "-0",
    "1e-3",
    "2024-01-01T12:00:00Z",
    ".5",
    "5.",
    "=",
    "1.2.3",
)
NULLS = ("null", "~", "Null", "NULL", "")
AMBIGUOUS = ("1.10", "012", "1e3", "0x1F", "0o17", "+12", "-0", "1e-3", ".5", "5.", "0.30", "1.0e3", "-01")
PLAIN: Mapping[str, Any] = {
    "12:30:45": "12:30:45",
    "2024-01-01": "2024-01-01",
    "on": "on",
    "off": "off",
    "yes": "yes",
    "no": "no",
    "y": "y",
    "N": "N",
    "1_000": "1_000",
    "1.2.3": "1.2.3",
    "=": "=",
    "190:20:30": "190:20:30",
    "true": True,
    "False": False,
    "3.0": 3.0,
    "0": 0,
    "-7": -7,
    "1.5": 1.5,
    "1.0e-3": 0.001,
    "null": None,
    "~": None,
    "": None,
    "0.1": 0.1,
}

Field = tuple[Callable[[str], str], Callable[[Desired], Any]]


def of(key: str, *path: str) -> Callable[[Desired], Any]:
    """What a resource has at a path of its spec."""

    def read(desired: Desired) -> Any:
        value: Any = desired.resources[Key.parse(key)].spec
        for name in path:
            value = value[name]
        return value

    return read


def newest(kind: Kind) -> Callable[[Desired], Resource]:
    """The one resource of a kind that the sample does not have."""
    known = {"inputs", "nightly forecast", "forecasting", "remote-inference"}
    return lambda desired: next(
        resource for key, resource in desired.resources.items() if key.kind is kind and key.name not in known
    )


def connection(spec: str, name: str = "c") -> str:
    return f"{HEAD}kind: Connection\nmetadata:\n  name: {name}\nspec:\n{spec}\n"


TEXT: Mapping[str, Field] = {
    "the name of a connection": (
        lambda text: connection("  type: HTTP", text),
        lambda desired: newest(Kind.CONNECTION)(desired).key.name,
    ),
    "the name of a task": (
        lambda text: task("timeout: 1m", f"\n  name: {text}"),
        lambda desired: newest(Kind.TASK)(desired).key.name,
    ),
    "the name of a workspace": (
        lambda text: f"{HEAD}kind: Workspace\nmetadata:\n  name: {text}\n",
        lambda desired: newest(Kind.WORKSPACE)(desired).key.name,
    ),
    "the name of an orchestration": (
        lambda text: f"{HEAD}kind: Orchestration\nmetadata:\n  name: {text}\nspec: {{source: orchestrations/remote}}\n",
        lambda desired: newest(Kind.ORCHESTRATION)(desired).key.name,
    ),
    "a label": (
        lambda text: task("timeout: 1m", f"\n  name: t\n  labels:\n    release: {text}"),
        lambda desired: newest(Kind.TASK)(desired).labels["release"],
    ),
    "a description": (
        lambda text: task("timeout: 1m", f"\n  name: t\n  description: {text}"),
        lambda desired: newest(Kind.TASK)(desired).description,
    ),
    "the type of a connection": (lambda text: connection(f"  type: {text}"), of("Connection/c", "type")),
    "an environment variable": (lambda text: task(f"env:\n    A: {text}"), of("Task/forecasting/t", "env", "A")),
    "an argument of a program for a secret": (
        lambda text: task(f"secretEnv:\n    A:\n      exec:\n        - {text}"),
        lambda desired: of("Task/forecasting/t", "secretEnv", "A")(desired)["exec"][0],
    ),
}
OPEN: Mapping[str, Field] = {
    "an argument": (lambda text: task(f"args:\n    a: {text}"), of("Task/forecasting/t", "args", "a")),
    "an argument in a list": (
        lambda text: task(f"args:\n    a:\n      - {text}"),
        lambda desired: of("Task/forecasting/t", "args", "a")(desired)[0],
    ),
    "a detail": (
        lambda text: connection(f"  type: HTTP\n  details:\n    a: {text}"),
        of("Connection/c", "details", "a"),
    ),
    "a detail in a mapping": (
        lambda text: connection(f"  type: HTTP\n  details:\n    a:\n      b: {text}"),
        of("Connection/c", "details", "a", "b"),
    ),
}


def loaded(root: Path, text: str, *, cached: bool = False) -> Desired:
    return load(sample(root, zextra=text), cached=cached)


def refused(root: Path, text: str) -> str:
    """Summary and remedy of the one thing that is wrong."""
    with pytest.raises(InvalidSpecs) as caught:
        loaded(root, text)
    (problem,) = caught.value.diagnostics
    return f"{problem.summary} {problem.remedy}"


@pytest.mark.parametrize("field", TEXT)
def test_where_text_is_wanted_it_is_the_text_that_was_written(tmp_path: Path, field: str) -> None:
    write, read = TEXT[field]
    for number, text in enumerate(KEPT_WHEREVER_TEXT_IS_WANTED):
        root = tmp_path / str(number)
        assert read(loaded(root, write(text), cached=True)) == text, text
        assert read(load(root, cached=True)) == text, f"{text}, remembered"


@pytest.mark.parametrize("field", TEXT)
def test_where_text_is_wanted_nothing_is_refused_with_the_remedy_to_quote_it(tmp_path: Path, field: str) -> None:
    for number, text in enumerate(NULLS):
        assert "quote it" in refused(tmp_path / str(number), TEXT[field][0](text)), text


@pytest.mark.parametrize("field", OPEN)
def test_where_the_type_is_open_a_number_that_would_lose_its_spelling_is_refused(tmp_path: Path, field: str) -> None:
    write, read = OPEN[field]
    for number, text in enumerate(AMBIGUOUS):
        said = refused(tmp_path / str(number), write(text))
        assert f'`"{text}"`' in said, text
        assert read(loaded(tmp_path / str(number), write(f'"{text}"'))) == text


@pytest.mark.parametrize("field", OPEN)
def test_where_the_type_is_open_the_core_schema_of_yaml_holds(tmp_path: Path, field: str) -> None:
    write, read = OPEN[field]
    for number, (text, value) in enumerate(PLAIN.items()):
        root = tmp_path / str(number)
        for found in (read(loaded(root, write(text), cached=True)), read(load(root, cached=True))):
            assert (found, type(found)) == (value, type(value)), text


def test_what_the_remedy_says_to_write_is_taken(tmp_path: Path) -> None:
    write, read = OPEN["an argument"]
    for number, text in enumerate(AMBIGUOUS):
        plain = refused(tmp_path / str(number), write(text)).split("`")[-2]
        number_meant = float(int(text, 0) if text[:2] in {"0x", "0o"} else text)
        assert read(loaded(tmp_path / str(number), write(plain))) == number_meant


@pytest.mark.parametrize("text", ["yes", "on", "no", "off", "Yes", "NO"])
def test_where_a_boolean_is_wanted_the_words_of_yaml_1_1_are_booleans(tmp_path: Path, text: str) -> None:
    document = task("timeout: 1m", f"{{name: t, protect: {text}}}")
    assert newest(Kind.TASK)(loaded(tmp_path, document)).protect is (text.lower() in {"yes", "on"})
    assert "must be true or false" in refused(tmp_path, document.replace(f" {text}}}", f' "{text}"}}'))


@pytest.mark.parametrize(("text", "seconds"), [("10", 10), ("1e3", 1000), ("10.0", 10), ("0", 0)])
def test_a_duration_may_be_a_number_of_seconds(tmp_path: Path, text: str, seconds: int) -> None:
    found = of("Task/forecasting/t", "timeout")(loaded(tmp_path, task(f"timeout: {text}")))
    assert (found, type(found)) == (seconds, int)


@pytest.mark.parametrize("text", ["010", "1.5", "12:30:45", "null", "yes", "2024-01-01"])
def test_a_duration_is_nothing_else(tmp_path: Path, text: str) -> None:
    assert "spec.timeout" in refused(tmp_path, task(f"timeout: {text}"))


@pytest.mark.parametrize("text", ["12:30:45", "5", "1.10", "no", "2024-01-01"])
def test_a_schedule_is_a_cron_expression_and_nothing_that_looks_like_a_time(tmp_path: Path, text: str) -> None:
    assert "this is no cron expression" in refused(tmp_path, task(f"schedule: {text}"))


def test_a_version_of_python_keeps_its_zero(tmp_path: Path) -> None:
    text = f"{HEAD}kind: Orchestration\nmetadata: {{name: o}}\nspec: {{source: orchestrations/remote, python: 3.10}}\n"
    assert of("Orchestration/forecasting/o", "python")(loaded(tmp_path, text)) == "3.10"


def test_names_that_are_equal_as_numbers_are_two_names_for_a_patch_too(tmp_path: Path) -> None:
    both = connection("  type: A", "012") + "---\n" + connection("  type: B", "12")
    project = (
        f"{HEAD}kind: Project\nmetadata: {{name: p}}\n"
        "spec: {defaultWorkspace: forecasting, environments: {e: {}}}\n"
    )
    root = sample(tmp_path, zextra=both, specrunner=project)
    patch = root / "environments/e/patch.yaml"
    patch.parent.mkdir(parents=True)
    patch.write_text(connection("  type: patched", "12"))
    desired = load(root, "e")
    assert of("Connection/012", "type")(desired) == "A"
    assert of("Connection/12", "type")(desired) == "patched"


def test_keys_are_always_text(tmp_path: Path) -> None:
    text = task("args: {on: 1, 012: 2, 1.10: 3, ~: 4, 2024-01-01: 5}")
    found = of("Task/forecasting/t", "args")(loaded(tmp_path, text))
    assert found == {"on": 1, "012": 2, "1.10": 3, "~": 4, "2024-01-01": 5}


@pytest.mark.parametrize("text", ["0.1234567890123456789", "9007199254740993.5"])
def test_a_number_with_more_digits_than_a_float_holds_is_refused(tmp_path: Path, text: str) -> None:
    assert "no plainly written number" in refused(tmp_path, task(f"args: {{a: {text}}}"))


@pytest.mark.parametrize("text", AMBIGUOUS)
def test_the_quick_look_at_a_file_misses_none(text: str) -> None:
    assert is_ambiguous(text)
    flow = ("[1,{}]", "{{a: 1, b: {}}}", "[{}]", "a: [x,\n{}]")
    for around in (*flow, "a: {}\n", "- {}", "a:\n  {}\n", "a: {} # why\n", "{}"):
        assert has_ambiguous(around.format(text)), around


@pytest.mark.parametrize("text", ["a: 1\n", "schedule: 0 2 * * *", "a: 2024-01-01", "b: 1.5", "c: ==1.10", "d: 10m"])
def test_the_quick_look_finds_nothing_in_what_is_plain(text: str) -> None:
    assert not has_ambiguous(text)
