"""Tests with the platform's own client, which take minutes and the package index: only where they are asked for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sdk.sessions import Session, Sessions

_WHY = "it needs the platform's own client from the package index: `make test-sdk` runs it"
_TAKEN = pytest.StashKey[dict[str, float]]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--sdk"):
        return
    for item in items:
        if "tests/sdk/" in item.nodeid:
            item.add_marker(pytest.mark.skip(reason=_WHY))


@pytest.fixture(scope="session")
def sessions(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sessions]:
    """The sessions of all selected tests, under way."""
    assert not hasattr(request.config, "workerinput"), "the sessions run side by side already: leave out -n"
    found = Sessions(tmp_path_factory.mktemp("sdk"), _wanted(request.session.items))
    request.config.stash[_TAKEN] = found.seconds
    try:
        yield found
    finally:
        found.close()


def _wanted(items: list[pytest.Item]) -> list[Session]:
    """Each once, in the order of the tests."""
    told = [item.callspec.params.get("session") for item in items if hasattr(item, "callspec")]
    return list(dict.fromkeys(one for one in told if isinstance(one, Session)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    taken = config.stash.get(_TAKEN, {})
    for name, seconds in sorted(taken.items(), key=lambda one: -one[1]):
        terminalreporter.write_line(f"session {name}: {seconds:.0f} s")
