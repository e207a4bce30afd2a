"""From the pipe that a run writes to into its log: when to read, what to mask, what to remember of the end."""

from __future__ import annotations

import fcntl
import os

from specrunner.engine.tasks.logfile import LogWriter
from specrunner.engine.tasks.redact import Redactor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_PIPE_BYTES = 2**20
_PAUSE = 0.005  # seconds that output may gather while it comes in quick succession
_LAST_BYTES = 4096  # of the end that are remembered


class Capture:
    """The reading end of a run's output.

    The first bytes after a silence are written at once. While more comes in quick succession it gathers for five
    milliseconds in the pipe: a program that flushes every line would otherwise wake us for each.
    A log that can't be written any more (a full disk) does not stop the run: it is drained, and `trouble` says why.
    """

    def __init__(self, folder: str, cap: int, texts: Iterable[str]) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        self._capacity = _widen(self.writer)
        self._redactor = Redactor(texts)
        self._log = LogWriter(folder, cap)
        self._last = b""
        self._last_read = 0.0
        self.ended = False
        self.trouble = ""
        self.pause_until = 0.0  # on the monotonic clock; nothing need be read before

    def started(self) -> None:
        """The child holds the writing end now: give up ours, or the end would never be seen."""
        os.close(self.writer)

    def read(self, now: float, clock: float) -> bool:
        """Take what is there, at `now` (epoch) and `clock` (monotonic) seconds; whether more may be waiting."""
        try:
            data = os.read(self.reader, _PIPE_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self.ended = True
            return False
        self._keep(self._redactor.feed(data), now)
        since, self._last_read = clock - self._last_read, clock
        if since < 2 * _PAUSE:
            # At the speed it came, half the pipe is filled by then: the program never finds it full and waits for us.
            until_half = since * self._capacity / 2 / len(data)
            self.pause_until = clock + min(_PAUSE, until_half)
        return True

    def finish(self, now: float) -> None:
        """Take what is still in the pipe and close everything; the processes of the run are gone."""
        while self.read(now, 0.0):
            pass
        self._keep(self._redactor.finish(), now)
        self._log.close()
        os.close(self.reader)

    def _keep(self, data: bytes, now: float) -> None:
        self._last = (self._last + data[-_LAST_BYTES:])[-_LAST_BYTES:]
        if self.trouble:
            return
        try:
            self._log.write(data, now)
        except OSError as error:
            self.trouble = f"the log is incomplete: {error.strerror}"

    @property
    def last_line(self) -> str:
        """The last line that says anything, masked as the log is; at most 300 characters."""
        lines = self._last.decode("utf-8", "replace").split("\n")
        return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")

    def clean(self, text: str) -> str:
        """A text with the secrets masked."""
        return self._redactor.text(text)


def _widen(descriptor: int) -> int:
    """Make the pipe as wide as the system lets us; its capacity in bytes."""
    try:
        return fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    except (AttributeError, OSError):
        return 2**16
