"""unlock: break the lease of an apply that is dead for certain."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from specrunner.cli.options import yes_option
from specrunner.cli.planning import clock
from specrunner.cli.terminal import confirmed, interactive, say
from specrunner.cli.wiring import check_applied, directory_option, environment_option, open_target
from specrunner.core.errors import UsageError
from specrunner.core.resources import Owner
from specrunner.report.lines import Line, counted

if TYPE_CHECKING:
    from specrunner.core.leases import Lease
    from specrunner.targets.base import Target


@click.command()
@directory_option
@environment_option
@click.option("--all", "every", is_flag=True, help="The leases of all projects and environments on this target.")
@yes_option
def unlock(root: Path, environment: str | None, every: bool, yes: bool) -> int:
    """Break the lease of an apply, so that another one may begin.

    An apply that still lives stops before its next step. A lease also ends by itself, half a minute after its holder
    has died.
    """
    if every and environment:
        raise UsageError("--all and -e exclude each other.", remedy="Leave one of them out.")
    check_applied(root)
    name = None if every else str(_owner(root, environment))
    with open_target(root) as target:
        found = [lease for lease in target.leases() if name is None or lease.excludes(name)]
        if not found:
            say([Line(f"Nobody holds a lease{f' of {name}' if name else ''}.")])
            return 0
        say(_held(lease) for lease in found)
        if not (yes or _confirmed(len(found))):
            say([Line("Nothing was changed.")])
            return 0
        return _broken(target, found)


def _owner(root: Path, environment: str | None) -> Owner:
    from specrunner.spec.desired import owner_of

    return owner_of(root, environment)


def _held(lease: Lease) -> Line:
    from specrunner.reconcile.lease import broken_words

    over = ". It has expired." if lease.expired(clock().now()) else "."
    return Line(f"The lease of {_named(lease)} is held by {broken_words(lease)}{over}")


def _named(lease: Lease) -> str:
    from specrunner.core.leases import EVERYTHING

    return "everything on this target" if lease.name == EVERYTHING else lease.name


def _confirmed(count: int) -> bool:
    if not interactive():
        raise UsageError("Nobody is there to ask whether to break this.", remedy="Say --yes to break it.")
    return confirmed(f"\nBreak {counted(count, 'lease')}?")


def _broken(target: Target, leases: list[Lease]) -> int:
    gone = [lease for lease in leases if target.release_lease(lease.name, None)]
    say([Line(f"Broken: {', '.join(_named(lease) for lease in gone) or 'nothing; it was given back meanwhile'}.")])
    return 0
