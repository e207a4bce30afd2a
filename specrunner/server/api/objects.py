"""Live state and changing it: what plan and apply need."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from specrunner.core.access import Identity, Scope
from specrunner.core.errors import BadInput, NotFound
from specrunner.core.resources import Owner, Resource
from specrunner.core.values import Secret
from specrunner.server.access import address_of
from specrunner.server.api.guarding import check_change, check_key, check_order, visible
from specrunner.server.api.specs import check_resource
from specrunner.server.api.table import JSON, PREFIX, Call, Operation, Query, Service, asked_key
from specrunner.server.bodies import spooled_body
from specrunner.targets.wire.codec import encode
from specrunner.targets.wire.mirror import LIVE, RECORDED, STEP
from specrunner.targets.wire.orders import received_order, received_resource
from specrunner.targets.wire.records import (
    Done,
    Fingerprint,
    HasFile,
    KeptFile,
    LiveObjects,
    Problems,
    Remembers,
    SentCheck,
    SentDelete,
    SentOrder,
    SentRestore,
    SentSecret,
)

BYTES: Final = "application/octet-stream"
MAX_FILE: Final = 4 * 2**30
_SHA: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


def _live(call: Call) -> bytes:
    def made() -> bytes:
        return encode(LiveObjects([LIVE.told(one) for one in visible(call.target.read(), call.identity).values()]))

    return call.service.shared.get(("live", call.identity.workspaces), made)


def _put(call: Call) -> Done:
    sent: SentOrder = call.body
    check_resource(sent.resource, sent.secrets)
    check_order(call.engine, call.identity, sent)
    call.target.put(received_order(sent, lambda sha: _bytes(call, sha)), call.note)
    return Done()


def _delete(call: Call) -> Done:
    sent: SentDelete = call.body
    step = STEP.meant(sent.step)
    check_change(call.engine, call.identity, step.key)
    call.target.delete(step, call.note)
    return Done()


def _restore(call: Call) -> Done:
    sent: SentRestore = call.body
    check_resource(sent.order.resource, sent.order.secrets)
    check_order(call.engine, call.identity, sent.order)
    recorded = RECORDED.meant(sent.recorded)
    check_change(call.engine, call.identity, recorded.key)
    call.target.restore(recorded, received_order(sent.order, lambda sha: _bytes(call, sha)), call.note)
    return Done()


def _bytes(call: Call, sha: str) -> bytes:
    _check_sha(sha)
    found = call.engine.artifact(sha)
    if found is None:
        raise NotFound(
            f"The bytes of {sha[:12]} were not uploaded.",
            remedy=f"Send them with `PUT {PREFIX}/files?sha={sha}` first.",
        )
    return found


def _check(call: Call) -> Problems:
    sent: SentCheck = call.body
    for one in sent.resources:
        check_resource(one)
    found: list[Resource] = [received_resource(one, lambda sha: _bytes(call, sha)) for one in sent.resources]
    return Problems(call.target.unfit(found) if sent.files else call.target.unsupported(found))


def _fingerprint(call: Call) -> Fingerprint:
    sent: SentSecret = call.body
    return Fingerprint(call.target.fingerprint(Secret(sent.value)))


def _owner(call: Call) -> Owner:
    return Owner(call.query["project"], call.query["environment"])


def _remembers(call: Call) -> Remembers:
    return Remembers(call.target.remembers(_owner(call)))


def _remember(call: Call) -> Done:
    call.target.remember(_owner(call))
    return Done()


def _has_file(call: Call) -> HasFile:
    return HasFile(call.engine.has_artifact(_check_sha(call.query["sha"])))


async def _keep_file(request: Request, service: Service, identity: Identity) -> Response:
    sha = _check_sha(request.query_params.get("sha", ""))
    async with spooled_body(request, MAX_FILE) as file:
        found, size = await run_in_threadpool(service.engine.keep_stream, file)
    if found != sha:
        raise BadInput(
            "These are other bytes than announced.",
            detail=f"Their sha256 is {found}.",
            remedy="Send them again: something has changed them on their way, or in the file.",
        )
    add, address = service.engine.audit.add, address_of(request)
    await run_in_threadpool(add, identity.who, "upload", found, address=address)
    return Response(encode(KeptFile(found, size)), media_type=JSON)


async def _stored(request: Request, service: Service, identity: Identity) -> Response:
    key = asked_key(request.query_params.get("key", ""))
    check_key(identity, key)
    found = await run_in_threadpool(service.target.stored, key)
    if found is None:
        raise NotFound(f"There are no bytes of {key}.")
    # Percent-encoded: a file's name may hold what would end a header.
    disposition = f"attachment; filename*=UTF-8''{quote(found.file_name, safe='')}"
    return Response(found.data, media_type=BYTES, headers={"Content-Disposition": disposition})


def _check_sha(text: str) -> str:
    if not _SHA.fullmatch(text):
        raise BadInput("`sha` is a sha256 in 64 hexadecimal digits, in small letters.")
    return text


_OWNER = (
    Query("project", str, "The name of the project.", required=True),
    Query("environment", str, "The environment of the project.", required=True),
)
_FILE = (Query("sha", str, "The sha256 of the bytes, in 64 hexadecimal digits.", required=True),)

OPERATIONS = [
    Operation("GET", f"{PREFIX}/live", Scope.READ, "Everything live, with whose it is", LiveObjects, _live),
    Operation(
        "PUT",
        f"{PREFIX}/objects",
        Scope.APPLY,
        "Create, change, rename or replace one object as declared; again is as good as once",
        Done,
        _put,
        body=SentOrder,
        audited="apply",
        subject=lambda call: f"{call.body.step.action} {call.body.resource.key}",
        notes=True,
    ),
    Operation(
        "POST",
        f"{PREFIX}/objects/delete",
        Scope.APPLY,
        "Remove one object; what runs of it is killed first",
        Done,
        _delete,
        body=SentDelete,
        audited="apply",
        subject=lambda call: f"delete {call.body.step.key}",
        notes=True,
    ),
    Operation(
        "POST",
        f"{PREFIX}/objects/restore",
        Scope.APPLY,
        "Bring an object back that only the status files know",
        Done,
        _restore,
        body=SentRestore,
        audited="apply",
        subject=lambda call: f"restore {call.body.recorded.key}",
        notes=True,
    ),
    Operation(
        "POST",
        f"{PREFIX}/check",
        Scope.PLAN,
        "What these resources declare and this server can't do, or which of their uploaded files it can't use",
        Problems,
        _check,
        body=SentCheck,
    ),
    Operation(
        "POST",
        f"{PREFIX}/fingerprint",
        Scope.PLAN,
        "The keyed fingerprint of a secret: equal for equal values",
        Fingerprint,
        _fingerprint,
        body=SentSecret,
    ),
    Operation(
        "GET",
        f"{PREFIX}/owners",
        Scope.READ,
        "Whether all that was applied for a project's environment is known here",
        Remembers,
        _remembers,
        query=_OWNER,
    ),
    Operation(
        "PUT",
        f"{PREFIX}/owners",
        Scope.APPLY,
        "Everything of a project's environment is here from now on",
        Done,
        _remember,
        query=_OWNER,
    ),
    Operation(
        "GET",
        f"{PREFIX}/files",
        Scope.APPLY,
        "Whether bytes are there already, so that they need not be uploaded",
        HasFile,
        _has_file,
        query=_FILE,
    ),
    Operation(
        "PUT",
        f"{PREFIX}/files",
        Scope.APPLY,
        "Upload the bytes of a model or an orchestration, ahead of the object that they belong to",
        KeptFile,
        raw=_keep_file,
        body=BYTES,
        query=_FILE,
        audited="upload",
        limit=MAX_FILE,
    ),
    Operation(
        "GET",
        f"{PREFIX}/stored",
        Scope.READ,
        "The bytes of a model or an orchestration as it is in force",
        BYTES,
        raw=_stored,
        query=(Query("key", str, "Its key, as Model/workspace/name or Orchestration/workspace/name.", required=True),),
    ),
]
