"""doctor: what this machine can and cannot do."""

from __future__ import annotations

from pathlib import Path

import click

from specrunner.cli.terminal import say, say_json, table
from specrunner.cli.wiring import STATE_FOLDER, directory_option, json_option
from specrunner.core.health import Check, Verdict, worst
from specrunner.report.diagnostics import harmless
from specrunner.report.lines import Line

_STYLES = {Verdict.OK: "create", Verdict.LIMITED: "warning", Verdict.BAD: "error"}
_CLOSING = {
    Verdict.OK: "All is well: specrunner can do everything here.",
    Verdict.LIMITED: "specrunner works here; what is limited is said above.",
    Verdict.BAD: "Something essential is missing: mend what is bad first.",
}


@click.command()
@directory_option
@click.option("--offline", is_flag=True, help="Do not ask the package index.")
@json_option
def doctor(root: Path, offline: bool, as_json: bool) -> int:
    """Check what this machine can and cannot do for specrunner; exit 1 if something essential is missing.

    Nothing is changed. `limited` works, but something of it less well than it could; the text says what.
    """
    from specrunner.engine.engine import default_cache
    from specrunner.engine.health import checks

    found = list(checks(root / STATE_FOLDER, default_cache(), ask_index=not offline))
    verdict = worst(found)
    if as_json:
        say_json({"verdict": str(verdict), "checks": [_json(check) for check in found]})
    else:
        table(("check", "verdict", "found"), [(one.name, str(one.verdict), harmless(one.found)) for one in found])
        for check in found:
            say(_explained(check))
        say([Line(), Line(_CLOSING[verdict], _STYLES[verdict])])
    return 1 if verdict is Verdict.BAD else 0


def _explained(check: Check) -> list[Line]:
    """What a check means that is not well, and what to do about it."""
    if check.verdict is Verdict.OK:
        return []
    lines = [Line(), Line(harmless(f"{check.name}: {check.means or check.found}"), _STYLES[check.verdict])]
    return [*lines, *([Line(harmless(f"    → {check.remedy}"), "remedy")] if check.remedy else [])]


def _json(check: Check) -> dict[str, str]:
    return {
        "check": check.name,
        "verdict": str(check.verdict),
        "found": check.found,
        "means": check.means,
        "remedy": check.remedy,
    }
