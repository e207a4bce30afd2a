"""Options of the whole suite: how long the fuzzers search, and from which seed; no example has a deadline."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest
from hypothesis import settings

# A machine may be busy with other things: how long one example takes says nothing of the code.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@dataclass(frozen=True, slots=True)
class Soak:
    """How much a fuzzer tries. `short` belongs to every run of the suite and is the same each time."""

    name: str
    seed: int

    @property
    def is_full(self) -> bool:
        return self.name == "full"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--soak",
        choices=("short", "full"),
        default="short",
        help="How long to fuzz: some hundred inputs, or a million.",
    )
    parser.addoption("--sdk", action="store_true", help="Run the tests with the platform's own client too.")
    parser.addoption("--fuzz-seed", type=int, help="The seed of the fuzzers; default: 1 for short, the time for full.")


def pytest_configure(config: pytest.Config) -> None:
    found = config.stash[_SOAK] = _soak(config)
    config.option.fuzz_seed = found.seed  # pytest-xdist hands the options on: all its processes take this seed


def pytest_report_header(config: pytest.Config) -> str:
    found = config.stash[_SOAK]
    return f"soak: {found.name}, --fuzz-seed {found.seed}"


@pytest.fixture(scope="session")
def soak(pytestconfig: pytest.Config) -> Soak:
    return pytestconfig.stash[_SOAK]


_SOAK = pytest.StashKey[Soak]()


def _soak(config: pytest.Config) -> Soak:
    name, seed = config.getoption("--soak"), config.getoption("--fuzz-seed")
    return Soak(name, seed if seed is not None else int(time.time()) if name == "full" else 1)
