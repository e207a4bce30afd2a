"""Diagnostics as SARIF 2.1.0, which code scanners and editors read.

Source of the format: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html. The id of a rule is the code
of the diagnostic; it never changes, so that a baseline stays one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from specrunner.core.errors import Diagnostic, Place, Severity
from specrunner.core.values import Json

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_ROOT: Final = "%SRCROOT%"  # what the names of files are relative to, by the name that readers expect
_NO_CODE: Final = "problem"  # the rule of what tells no kinds apart


def sarif(problems: Sequence[Diagnostic], version: str, prefix: str = "") -> dict[str, Json]:
    """A SARIF log of one run; `version` is specrunner's, `prefix` stands before the names of files.

    Columns count Unicode code points, as those of `Place` do.
    """
    codes = sorted({_rule(problem) for problem in problems})
    rules = [{"id": code, "shortDescription": {"text": code.replace("-", " ").capitalize()}} for code in codes]
    driver = {"name": "specrunner", "version": version, "rules": rules}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "columnKind": "unicodeCodePoints",
                "originalUriBaseIds": {_ROOT: {"description": {"text": "The root of the git repository."}}},
                "results": [_result(problem, codes.index(_rule(problem)), prefix) for problem in problems],
            }
        ],
    }


def _rule(problem: Diagnostic) -> str:
    return str(problem.code) or _NO_CODE


def _result(problem: Diagnostic, rule: int, prefix: str) -> dict[str, Json]:
    words = [f"{problem.summary[:1].upper()}{problem.summary[1:]}.", problem.detail, problem.remedy]
    found: dict[str, Json] = {
        "ruleId": _rule(problem),
        "ruleIndex": rule,
        "level": "error" if problem.severity is Severity.ERROR else "warning",
        "message": {"text": " ".join(word for word in words if word)},
        "partialFingerprints": {"specrunner/v1": _fingerprint(problem)},
    }
    if problem.place:
        found["locations"] = [_location(problem.place, prefix, problem.source)]
    if problem.related:
        found["relatedLocations"] = [_location(place, prefix) for place in problem.related]
    return found


def _fingerprint(problem: Diagnostic) -> str:
    """The same mistake in the same file, whatever line it has moved to."""
    file = problem.place.file if problem.place else ""
    return hashlib.sha256("\0".join([_rule(problem), file, problem.summary]).encode()).hexdigest()


def _location(place: Place, prefix: str, source: str = "") -> dict[str, Json]:
    # GitHub shows nothing without a line.
    region: dict[str, Json] = {"startLine": place.line or 1}
    if place.column:
        region["startColumn"] = place.column
    if source:
        region["snippet"] = {"text": source}
    artifact = {"uri": quote(prefix + place.file), "uriBaseId": _ROOT}
    return {"physicalLocation": {"artifactLocation": artifact, "region": region}}
