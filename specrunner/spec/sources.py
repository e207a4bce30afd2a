"""The files that documents name, each looked at once in one reading, however many documents name it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from specrunner.core.resources import Payload
from specrunner.spec.bundle import BadBundle, file_payload, model_payload, orchestration_payload
from specrunner.spec.paths import inside

_Asked = tuple[str, str, tuple[str, ...], tuple[str, ...]]


class Sources:
    """The payloads below one root, for as long as one reading takes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._known: dict[_Asked, Payload | OSError | ValueError] = {}

    def model(self, name: str) -> Payload:
        """The bytes of a model: a file as it is, a folder zipped. Raises BadPath, BadBundle and OSError."""

        def load(path: Path) -> Payload:
            return model_payload(path, self.root) if path.is_dir() else file_payload(path)

        return self._once(("model", name, (), ()), load)

    def orchestration(self, name: str, include: Sequence[str], exclude: Sequence[str]) -> Payload:
        """The bundle of an orchestration. Raises BadPath, BadBundle and OSError."""

        def load(path: Path) -> Payload:
            if not path.is_dir() and path.suffix != ".zip":
                raise BadBundle(["it is neither a folder nor a .zip"])
            return orchestration_payload(path, include, exclude, self.root)

        return self._once(("orchestration", name, tuple(include), tuple(exclude)), load)

    def _once(self, asked: _Asked, load: Callable[[Path], Payload]) -> Payload:
        found = self._known.get(asked)
        if found is None:
            try:
                found = load(inside(self.root, asked[1]))
            except (OSError, ValueError) as problem:
                found = problem
            self._known[asked] = found
        if isinstance(found, Payload):
            return found
        raise found.with_traceback(None)
