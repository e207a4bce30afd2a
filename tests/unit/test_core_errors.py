from __future__ import annotations

import pytest

from specrunner.core import errors
from specrunner.core.errors import Diagnostic, InvalidSpecs, Place, Severity, SpecrunnerError


def tree(base: type[SpecrunnerError]) -> list[type[SpecrunnerError]]:
    return [base, *(found for child in base.__subclasses__() for found in tree(child))]


OURS = [found for found in tree(SpecrunnerError) if found.__module__ == errors.__name__]


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (Place("a.yaml"), "a.yaml"),
        (Place("a.yaml", 3), "a.yaml:3"),
        (Place("a.yaml", 3, 7), "a.yaml:3:7"),
        (Place("a.yaml", 0, 7), "a.yaml"),
    ],
)
def test_a_place_is_told_as_far_as_it_is_known(place: Place, text: str) -> None:
    assert str(place) == text


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_every_error_has_an_exit_code_an_http_status_and_a_line_in_the_tree(kind: type[SpecrunnerError]) -> None:
    assert kind.exit_code in {1, 3, 4, 64}
    assert 400 <= kind.http_status < 600
    assert kind.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize("kind", [kind for kind in OURS if kind is not InvalidSpecs], ids=lambda kind: kind.__name__)
def test_an_error_is_one_diagnostic(kind: type[SpecrunnerError]) -> None:
    problem = kind("It broke.", "Because.", "Mend it.", Place("a.yaml", 1))
    assert problem.diagnostics == (Diagnostic("It broke.", "Because.", "Mend it.", Place("a.yaml", 1)),)
    assert str(problem) == "It broke."


def test_problems_of_specs_are_told_in_reading_order_and_only_errors_are_counted() -> None:
    found = [
        Diagnostic("third", place=Place("b.yaml", 1)),
        Diagnostic("second", place=Place("a.yaml", 10)),
        Diagnostic("first", place=Place("a.yaml", 9, 3)),
        Diagnostic("none"),
        Diagnostic("mild", place=Place("c.yaml"), severity=Severity.WARNING),
    ]
    problem = InvalidSpecs(found)
    assert [one.summary for one in problem.diagnostics] == ["none", "first", "second", "third", "mild"]
    assert str(problem) == "4 problems in the specs"
    assert str(InvalidSpecs(found[:1])) == "1 problem in the specs"
