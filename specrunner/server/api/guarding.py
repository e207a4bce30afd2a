"""What a caller that is limited to workspaces may see and change: anything else is not there for it."""

from __future__ import annotations

from specrunner.core.access import Identity
from specrunner.core.errors import NotFound
from specrunner.core.keys import Key, Kind
from specrunner.core.resources import Live
from specrunner.core.values import JsonObject
from specrunner.engine.engine import Engine
from specrunner.server.access import Forbidden
from specrunner.targets.local import reading
from specrunner.targets.wire.mirror import meant_key, meant_keys
from specrunner.targets.wire.records import SentOrder


def visible(live: Live, identity: Identity) -> Live:
    """The part of what is live that the caller sees."""
    if not identity.is_limited:
        return live
    return {key: found for key, found in live.items() if identity.sees(key, found.spec or found.applied or {})}


def check_key(identity: Identity, key: Key) -> None:
    """Raises NotFound for an object in a workspace that is not there for the caller; connections have none."""
    if key.kind is not Kind.CONNECTION and not identity.sees(key, {}):
        raise NotFound(f"There is no {key}.")


def check_order(engine: Engine, identity: Identity, order: SentOrder) -> None:
    """Raises Forbidden where an order reaches further than the caller: by what is there now, or by what it makes."""
    key, spec = meant_key(order.resource.key), order.resource.spec
    if identity.is_limited and not identity.may_make(key, spec):
        raise _out_of_reach(identity, key)
    others = {order.step.key, order.resource.renamed_from, order.step.renamed_from} - {None}
    for one in {key, *meant_keys(others)}:
        check_change(engine, identity, one)


def check_change(engine: Engine, identity: Identity, key: Key) -> None:
    """Raises Forbidden where the object that is there belongs to others too."""
    if not identity.is_limited:
        return
    check_key(identity, key)
    live = reading.read_one(engine, key)
    spec: JsonObject = {} if live is None else live.spec or live.applied or {}
    if live is not None and not identity.may_make(key, spec):
        raise _out_of_reach(identity, key)


def _out_of_reach(identity: Identity, key: Key) -> Forbidden:
    allowed = ", ".join(sorted(identity.workspaces or ()))
    return Forbidden(
        f"{key} reaches beyond the workspaces of this token.",
        detail=f"{identity.who} may change what is in: {allowed}.",
        remedy="Ask for a token without that limit, or leave the other workspaces out of its spec.",
    )
