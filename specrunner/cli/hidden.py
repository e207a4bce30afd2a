"""What this process must not say: the secrets it has read, masked in errors and in the traces of faults."""

from __future__ import annotations

from specrunner.core.masking import masked, texts_of
from specrunner.core.ports import SecretSource
from specrunner.core.values import JsonObject, Secret

_texts: set[str] = set()  # of this process: a fault may come from anywhere in it


class Remembered:
    """A `SecretSource` that remembers what the other gave, so that `shown` can mask it."""

    def __init__(self, source: SecretSource) -> None:
        self._source = source

    def resolve(self, source: JsonObject, mapping: bool = False) -> Secret:
        """The secret behind a source. Raises SpecrunnerError as the other does."""
        secret = self._source.resolve(source, mapping)
        _texts.update(texts_of([secret.reveal()]))
        return secret


def shown(text: str) -> str:
    """The text with every secret that this process has read as `*****`."""
    return masked(text, _texts) if _texts else text
