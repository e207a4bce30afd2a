"""Masking texts in a stream of bytes, also where they are split over reads. Standard library only."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

MASK = "*****"
_MASK = MASK.encode()


class Redactor:
    """Replaces every occurrence of the given texts (as UTF-8) by `*****`; overlapping ones become one mask.

    What comes out does not depend on how the stream was cut into pieces. At most one byte less than the longest
    text is held back: an end that may turn out to begin one.
    """

    __slots__ = ("_held", "_longest", "_masked", "_texts")

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = sorted({text.encode("utf-8", "surrogateescape") for text in texts if text}, key=len, reverse=True)
        self._longest = len(self._texts[0]) if self._texts else 0
        self._held = b""
        self._masked = 0  # that many bytes at the head of `_held` belong to a mask that was given out already

    def feed(self, data: bytes) -> bytes:
        """What can be given out after these bytes."""
        if not self._texts:
            return data
        buffer = self._held + data
        return self._give(buffer, self._possible_start(buffer))

    def finish(self) -> bytes:
        """What was held back; the stream has ended."""
        return self._give(self._held, len(self._held))

    def text(self, text: str) -> str:
        """One whole text with its occurrences masked."""
        fresh = Redactor(())
        fresh._texts, fresh._longest = self._texts, self._longest
        data = text.encode("utf-8", "surrogatepass")
        return (fresh.feed(data) + fresh.finish()).decode("utf-8", "surrogatepass")

    def _give(self, buffer: bytes, until: int) -> bytes:
        """The buffer up to `until` with masks; the rest is held."""
        parts, position = [], 0
        masked = self._masked
        self._masked = 0
        for begin, end in self._spans(buffer, masked):
            if begin >= until:
                if masked and begin == 0:  # nothing is given out, so its mask is still under way
                    self._masked = masked
                break
            parts.append(buffer[position:begin])
            if begin > 0 or not masked:
                parts.append(_MASK)
            position = min(end, until)
            self._masked = max(0, end - until)
        parts.append(buffer[position:until])
        self._held = buffer[until:]
        return b"".join(parts)

    def _spans(self, buffer: bytes, masked: int) -> list[tuple[int, int]]:
        """Where the texts stand, overlapping places joined, in order."""
        found = [(0, masked)] if masked else []
        for text in self._texts:
            at = buffer.find(text)
            while at >= 0:
                found.append((at, at + len(text)))
                at = buffer.find(text, at + 1)
        joined: list[tuple[int, int]] = []
        for begin, end in sorted(found):
            if joined and begin < joined[-1][1]:
                joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
            else:
                joined.append((begin, end))
        return joined

    def _possible_start(self, buffer: bytes) -> int:
        """The first position from which on the end of the buffer could be the head of a text."""
        first = len(buffer)
        for text in self._texts:
            at = buffer.find(text[:1], max(0, len(buffer) - len(text) + 1))
            while 0 <= at < first:
                if text.startswith(buffer[at:]):
                    first = at
                at = buffer.find(text[:1], at + 1)
        return first
