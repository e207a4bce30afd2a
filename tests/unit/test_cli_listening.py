"""Where `serve` listens and for whom: what goes together, and when a token is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from specrunner.cli.listening import Listening
from specrunner.core.access import Scope
from specrunner.core.errors import UsageError
from specrunner.engine.engine import Engine
from specrunner.server.access import is_loopback

LOOPBACK = Listening("127.0.0.1", None, None, None, opened=False)
FILE = Path("cert.pem")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Listening("0.0.0.0", None, None, None, opened=False), "which port"),
        (Listening("0.0.0.0", 8443, FILE, None, opened=False), "go together"),
        (Listening("0.0.0.0", 8443, FILE, FILE, opened=False), "can't be served"),
        (Listening("0.0.0.0", 8443, None, None, opened=True), "this machine alone"),
        (Listening("127.0.0.1", None, FILE, FILE, opened=False), "loopback needs none"),
    ],
)
def test_what_does_not_go_together_is_told(asked: Listening, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        asked.check()
    assert caught.value.remedy


def test_loopback_is_open_until_a_token_was_made_for_good_and_opens_again_where_it_is_asked(tmp_path: Path) -> None:
    with Engine(tmp_path / "state", tmp_path / "cache") as engine:
        serving, opened = LOOPBACK.serving(engine), Listening("localhost", None, None, None, opened=True)
        assert serving.is_open()
        engine.tokens.create("ci", [Scope.READ])
        assert not serving.is_open()
        engine.tokens.revoke("ci")
        assert not serving.is_open(), "behind a proxy, it would be open to everybody"
        assert opened.serving(engine).is_open()


def test_another_address_needs_somebody_who_has_a_token(tmp_path: Path) -> None:
    public = Listening("0.0.0.0", 8443, None, None, opened=False)
    with pytest.raises(UsageError, match="without a token"):
        public.check_token(None)
    with Engine(tmp_path / "state", tmp_path / "cache") as engine:
        LOOPBACK.check_token(engine)
        with pytest.raises(UsageError, match="without a token"):
            public.check_token(engine)
        engine.tokens.create("ci", [Scope.READ])
        public.check_token(engine)
        engine.tokens.revoke("ci")
        with pytest.raises(UsageError, match="without a token"):
            public.check_token(engine)


def test_addresses_are_told_as_urls() -> None:
    addresses = [Listening(host, 8443, None, None, opened=False).public for host in ("10.0.0.7", "::")]
    assert [found.address for found in addresses if found] == ["http://10.0.0.7:8443", "http://[::]:8443"]


@pytest.mark.parametrize(
    ("host", "is_here"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("[::1]", True),
        ("localhost", True),
        ("LOCALHOST", True),
        ("a.localhost", True),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("0.0.0.0", False),
        ("10.0.0.7", False),
        ("", False),
    ],
)
def test_only_this_machine_is_this_machine(host: str, is_here: bool) -> None:
    assert is_loopback(host) is is_here
