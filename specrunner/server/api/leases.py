"""Leases: who may apply now."""

from __future__ import annotations

from dataclasses import replace

from specrunner.core.access import Scope
from specrunner.core.errors import BadInput
from specrunner.core.leases import EVERYTHING, Lease
from specrunner.core.values import utc
from specrunner.engine.hosting import LEASE
from specrunner.server.access import Forbidden
from specrunner.server.api.table import PREFIX, Call, Operation
from specrunner.targets.wire.records import Held, HostedBy, Leases, LeaseTaken, SentHold, SentLease


def _leases(call: Call) -> Leases:
    return Leases([_shown(call, lease) for lease in call.target.leases() if lease.name != LEASE])


def _shown(call: Call, lease: Lease) -> Lease:
    """A lease; its token, which could be used to give it back, is for those who could break it anyway."""
    if call.identity.may(Scope.APPLY):
        return lease
    return replace(lease, holder=replace(lease.holder, token=""))


def _take(call: Call) -> LeaseTaken:
    sent: SentLease = call.body
    _check(call, sent.name)
    try:
        since = utc(sent.holder.since)
    except ValueError as problem:
        raise BadInput("`holder.since` has no time zone.") from problem
    found = call.target.take_lease(sent.name, replace(sent.holder, since=since))
    return LeaseTaken(None if found is None else _shown(call, found))


def _renew(call: Call) -> Held:
    sent: SentHold = call.body
    _check(call, sent.name)
    return Held(call.target.renew_lease(sent.name, sent.token or ""))


def _release(call: Call) -> Held:
    sent: SentHold = call.body
    _check(call, sent.name)
    return Held(call.target.release_lease(sent.name, sent.token))


def _check(call: Call, name: str) -> None:
    """Raises for a lease that no client may hold: the server's own, and that of everything for a limited token."""
    if name == LEASE or not name or not name.isprintable():
        raise BadInput("A lease is called `project/environment`, or `*`.")
    if name == EVERYTHING and call.identity.is_limited:
        raise Forbidden("The lease of everything is not for a token that is limited to workspaces.")


def _host(call: Call) -> HostedBy:
    lease = call.engine.leases.named(LEASE)
    # Asked by this very process, `living` does not count itself.
    found = call.target.host() or (lease.holder if lease and call.engine.hosting.is_here else None)
    return HostedBy(None if found is None else replace(found, token=""))


OPERATIONS = [
    Operation("GET", f"{PREFIX}/leases", Scope.READ, "Every lease, expired ones too", Leases, _leases),
    Operation(
        "POST",
        f"{PREFIX}/leases",
        Scope.APPLY,
        "Take a lease for half a minute, or learn who has it",
        LeaseTaken,
        _take,
        body=SentLease,
    ),
    Operation(
        "POST",
        f"{PREFIX}/leases/renew",
        Scope.APPLY,
        "Hold a lease for longer; `held` is false where it is lost",
        Held,
        _renew,
        body=SentHold,
    ),
    Operation(
        "POST",
        f"{PREFIX}/leases/release",
        Scope.APPLY,
        "Give a lease back; without a token, break it",
        Held,
        _release,
        body=SentHold,
    ),
    Operation(
        "GET", f"{PREFIX}/host", Scope.READ, "The process that starts what is scheduled, if one does", HostedBy, _host
    ),
]
