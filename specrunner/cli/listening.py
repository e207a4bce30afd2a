"""Where `serve` listens, for whom, and what has to be so before it does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from specrunner.core.errors import UsageError

if TYPE_CHECKING:
    from specrunner.engine.engine import Engine
    from specrunner.server.host import Public, Serving

LOOPBACK = frozenset({"127.0.0.1", "localhost"})


@dataclass(frozen=True, slots=True)
class Listening:
    """What was asked for on the command line."""

    host: str
    port: int | None
    certificate: Path | None
    key: Path | None
    opened: bool

    @property
    def is_public(self) -> bool:
        """Whether others than this machine can reach it."""
        return self.host not in LOOPBACK

    @property
    def loopback_port(self) -> int | None:
        """The port on loopback that was asked for."""
        return None if self.is_public else self.port

    @property
    def public(self) -> Public | None:
        """Where others are answered."""
        from specrunner.server.host import Public
        from specrunner.server.listening import Tls

        if not self.is_public:
            return None
        assert self.port is not None, "checked"  # noqa: S101
        return Public(self.host, self.port, Tls(self.certificate, self.key) if self.certificate and self.key else None)

    def serving(self, engine: Engine) -> Serving:
        """What is offered there."""
        from specrunner.server.host import Serving

        return Serving(
            carry=lambda _run: engine.runs.ring(),
            is_open=lambda: self.opened or not engine.tokens.any_made(),
            public=self.public,
        )

    def check(self) -> None:
        """Raises UsageError for what does not go together."""
        if bool(self.certificate) != bool(self.key):
            raise UsageError("--tls-cert and --tls-key go together.", remedy="Name both files, or none.")
        if not self.is_public:
            self._check_loopback()
            return
        if self.opened:
            raise UsageError(
                f"--open is for this machine alone, and {self.host} is not.",
                remedy="Leave it out, and give whoever is to use the server a token.",
            )
        if self.port is None:
            raise UsageError(
                f"It is not said on which port of {self.host} to listen.", remedy="Say --port, as in 8443."
            )
        if (found := self.public) is not None and found.tls is not None:
            found.tls.check()

    def _check_loopback(self) -> None:
        if self.certificate:
            raise UsageError(
                "TLS is for addresses that others reach; loopback needs none.",
                remedy="Say --host too, or leave --tls-cert and --tls-key out.",
            )

    def check_token(self, engine: Engine | None) -> None:
        """Raises UsageError where others could come in and nobody could say who they are; None: no state yet."""
        known = engine is not None and (engine.tokens.any_valid() or engine.users.any())
        if self.is_public and not known:
            raise UsageError(
                f"The server does not listen on {self.host} without a token.",
                detail="Whoever reaches that address could do anything here, and no valid token was made yet.",
                remedy="Make one: `specrunner token create NAME --scope apply`. Or leave --host out.",
            )
