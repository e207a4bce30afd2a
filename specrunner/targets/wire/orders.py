"""What is to be put on the target, as it travels and as it arrives."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from specrunner.core.resources import Payload, Resource
from specrunner.core.values import Secret
from specrunner.targets.base import PutOrder
from specrunner.targets.wire.mirror import STEP, meant_key, meant_keys, told_key
from specrunner.targets.wire.records import SentOrder, SentPayload, SentResource


def sent_resource(resource: Resource) -> SentResource:
    """A resource as it travels."""
    payload = resource.payload
    return SentResource(
        key=str(resource.key),
        spec=dict(resource.spec),
        place=resource.place,
        labels=dict(resource.labels),
        description=resource.description,
        protect=resource.protect,
        payload=SentPayload(payload.sha, payload.size, payload.file_name) if payload else None,
        secrets={path: dict(source) for path, source in resource.secrets.items()},
        references=tuple(map(str, resource.references)),
        renamed_from=told_key(resource.renamed_from),
    )


def sent_order(order: PutOrder) -> SentOrder:
    """An order as it travels, with the values of its secrets."""
    secrets = {path: secret.reveal() for path, secret in order.secrets.items()}
    return SentOrder(sent_resource(order.resource), STEP.told(order.step), order.owner, secrets, order.token)


def received_resource(sent: SentResource, read: Callable[[str], bytes]) -> Resource:
    """The resource that was sent; `read` gives the uploaded bytes of a sha256."""
    payload = None
    if sent.payload is not None:
        sha = sent.payload.sha
        payload = Payload(sha, sent.payload.size, sent.payload.file_name, lambda: read(sha))
    return Resource(
        key=meant_key(sent.key),
        spec=sent.spec,
        place=sent.place,
        labels=sent.labels,
        description=sent.description,
        protect=sent.protect,
        payload=payload,
        secrets=sent.secrets,
        references=meant_keys(sent.references),
        renamed_from=None if sent.renamed_from is None else meant_key(sent.renamed_from),
    )


def received_order(sent: SentOrder, read: Callable[[str], bytes]) -> PutOrder:
    """The order that was sent."""
    secrets: Mapping[str, Secret] = {path: Secret(value) for path, value in sent.secrets.items()}
    return PutOrder(received_resource(sent.resource, read), STEP.meant(sent.step), sent.owner, secrets, sent.token)
