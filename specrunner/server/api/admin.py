"""Who may do what, and who did."""

from __future__ import annotations

from datetime import timedelta

from specrunner.core.access import Scope
from specrunner.core.errors import BadInput
from specrunner.engine.tokens import Token
from specrunner.server.api.table import PREFIX, Call, Operation, Query
from specrunner.targets.wire.records import AuditEntry, AuditLog, SentRevoke, SentToken, ToldToken, ToldTokens, WhoAmI

_MOST_ENTRIES = 1000
_LONGEST_LIFE = 100 * 365 * 86400  # seconds


def _whoami(call: Call) -> WhoAmI:
    identity = call.identity
    limit = None if identity.workspaces is None else sorted(identity.workspaces)
    return WhoAmI(identity.who, sorted(identity.scopes), limit)


def _told(token: Token, text: str | None = None) -> ToldToken:
    return ToldToken(
        token.id, token.name, token.scopes, token.workspaces, token.created, token.expires, token.revoked, text
    )


def _create(call: Call) -> ToldToken:
    sent: SentToken = call.body
    expires = None
    if sent.expires_in is not None:
        if not 0 < sent.expires_in <= _LONGEST_LIFE:
            raise BadInput("`expires_in` is a number of seconds above 0, and less than a hundred years.")
        expires = call.engine.now() + timedelta(seconds=sent.expires_in)
    token, secret = call.engine.tokens.create(sent.name, sent.scopes, sent.workspaces, expires)
    return _told(token, str(secret.reveal()))


def _tokens(call: Call) -> ToldTokens:
    return ToldTokens([_told(token) for token in call.engine.tokens.all()])


def _revoke(call: Call) -> ToldToken:
    return _told(call.engine.tokens.revoke(call.body.token))


def _audit(call: Call) -> AuditLog:
    limit: int = call.query["limit"]
    if not 0 < limit <= _MOST_ENTRIES:
        raise BadInput(f"`limit` is a number from 1 to {_MOST_ENTRIES}.")
    found = call.engine.audit.latest(limit, call.query["before"])
    return AuditLog(
        [AuditEntry(one.seq, one.at, one.who, one.action, one.subject, one.address, one.outcome) for one in found]
    )


OPERATIONS = [
    Operation("GET", f"{PREFIX}/whoami", Scope.READ, "Who calls, and with what rights", WhoAmI, _whoami),
    Operation(
        "GET", f"{PREFIX}/tokens", Scope.ADMIN, "Every token ever made, without their secrets", ToldTokens, _tokens
    ),
    Operation(
        "POST",
        f"{PREFIX}/tokens",
        Scope.ADMIN,
        "Make a token; its text is told in this answer and never again",
        ToldToken,
        _create,
        body=SentToken,
        audited="token create",
        subject=lambda call: call.body.name,
    ),
    Operation(
        "POST",
        f"{PREFIX}/tokens/revoke",
        Scope.ADMIN,
        "Let a token open nothing any more",
        ToldToken,
        _revoke,
        body=SentRevoke,
        audited="token revoke",
        subject=lambda call: call.body.token,
    ),
    Operation(
        "GET",
        f"{PREFIX}/audit",
        Scope.ADMIN,
        "Who did what, newest first",
        AuditLog,
        _audit,
        query=(
            Query("limit", int, f"At most so many, up to {_MOST_ENTRIES}.", default=100),
            Query("before", int, "Only entries with a smaller `seq`."),
        ),
    ),
]
