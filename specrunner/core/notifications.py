"""Notifications: what may be told to whom, and the JSON that tells it. `news` decides what is news; others send it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Final

from specrunner.core.values import Json, JsonObject


class Occasion(StrEnum):
    """What may be told."""

    RUN_FAILED = "run_failed"  # it ended with an error, in time out, or nobody knows how
    RUN_RECOVERED = "run_recovered"  # it ended well, and the one before it had failed
    APPLY_FAILED = "apply_failed"  # a step failed, or a run that the apply waited for
    APPLIED = "applied"  # something was changed, and all of it went well


@dataclass(frozen=True, slots=True)
class Notification:
    """One declared address. `url` is empty where `url_from`, the source of a secret, gives it.

    `template` is the name of a form that is known, or JSON whose texts have `{fields}` of the news in them.
    """

    name: str
    url: str = ""
    url_from: JsonObject = field(default_factory=dict)
    on: frozenset[Occasion] = frozenset()
    template: Json = "plain"


@dataclass(frozen=True, slots=True)
class News:
    """Something that happened. Every field is text, empty where it does not apply; `summary` is one line."""

    event: str
    project: str
    environment: str
    summary: str
    detail: str = ""
    task: str = ""
    run: str = ""
    status: str = ""
    commit: str = ""
    hash: str = ""
    url: str = ""


FIELDS: Final = tuple(News.__dataclass_fields__)
_HOLE: Final = re.compile(r"\{([a-z_]+)\}")
_CARD: Final = "application/vnd.microsoft.card.adaptive"
TEMPLATES: Final[Mapping[str, Json]] = {
    "plain": {name: f"{{{name}}}" for name in FIELDS},
    # https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
    "slack": {"text": "{summary}\n{detail}\n{url}"},
    # https://learn.microsoft.com/connectors/teams: a workflow that takes an adaptive card
    "teams": {
        "type": "message",
        "attachments": [
            {
                "contentType": _CARD,
                "content": {
                    "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                    "type": "AdaptiveCard",
                    "version": "1.4",
                    "body": [
                        {"type": "TextBlock", "weight": "bolder", "wrap": True, "text": "{summary}"},
                        {"type": "TextBlock", "wrap": True, "text": "{detail}"},
                        {"type": "TextBlock", "wrap": True, "text": "{url}"},
                    ],
                },
            }
        ],
    },
}
_LONGEST: Final = 2_000  # characters of a field: chats cut or refuse long messages


def unknown_fields(template: Json) -> tuple[str, ...]:
    """The names in braces that news has no field for, in order."""
    names = (name for text in _texts(template) for name in _HOLE.findall(text))
    return tuple(dict.fromkeys(name for name in names if name not in FIELDS))


def body_of(template: Json, news: News) -> Json:
    """The JSON to send. Values go into texts that are there: nothing in them can become a field of its own."""
    values = {name: _short(value) for name, value in asdict(news).items()}
    return _filled(TEMPLATES[template] if isinstance(template, str) else template, values)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _filled(template: Json, values: Mapping[str, str]) -> Json:
    if isinstance(template, str):
        return _HOLE.sub(lambda found: values.get(found[1], found[0]), template)
    if isinstance(template, Mapping):
        return {name: _filled(part, values) for name, part in template.items()}
    return [_filled(part, values) for part in template] if isinstance(template, list) else template


def _texts(template: Json) -> Iterator[str]:
    if isinstance(template, str):
        yield template
    elif isinstance(template, Mapping):
        for part in template.values():
            yield from _texts(part)
    elif isinstance(template, list):
        for part in template:
            yield from _texts(part)
