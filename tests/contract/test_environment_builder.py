"""What every EnvironmentBuilder keeps to. An adapter joins by its line in `BUILDERS`.

The suite needs the package index of the machine's own configuration. Its environments go to one folder for the
whole session, which the other tests of environments use as well.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from specrunner.core.errors import PackagingFailed
from specrunner.engine.packaging.environments import UvEnvironments
from specrunner.engine.ports import EnvironmentBuilder

BUILDERS: Mapping[str, Callable[[Path], EnvironmentBuilder]] = {"uv": UvEnvironments}


@pytest.fixture(params=BUILDERS)
def builder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> EnvironmentBuilder:
    return BUILDERS[request.param](tmp_path_factory.getbasetemp() / "environments-cache")


def test_a_lock_pins_one_distribution_a_line_base_set_included(builder: EnvironmentBuilder) -> None:
    lines = builder.lock("").splitlines()
    assert all(line.count("==") == 1 for line in lines)
    assert {"pandas", "pyarrow", "requests"} <= {line.partition("==")[0] for line in lines}


def test_equal_requirements_give_equal_locks_and_equal_locks_one_environment(builder: EnvironmentBuilder) -> None:
    first, second = builder.lock(""), builder.lock("")
    assert first == second
    assert builder.ensure(first) == builder.ensure(second)


def test_an_environment_starts_its_own_python_with_the_locked_versions(builder: EnvironmentBuilder) -> None:
    lock = builder.lock("")
    environment = builder.ensure(lock)
    code = "import requests, sys; print(sys.prefix); print(f'requests=={requests.__version__}')"
    prefix, version = _output(environment.python, code).splitlines()
    assert environment.python.is_relative_to(environment.folder)
    assert Path(prefix) == environment.folder
    assert version in lock.splitlines()


def test_several_threads_get_the_same_environment(builder: EnvironmentBuilder) -> None:
    lock = builder.lock("")
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(builder.ensure, [lock] * 4))) == 1


def test_what_cannot_be_resolved_fails_in_the_resolvers_words(builder: EnvironmentBuilder) -> None:
    with pytest.raises(PackagingFailed) as caught:
        builder.lock("no-such-package-specrunner-xyz==9\n")
    assert "no-such-package-specrunner-xyz" in caught.value.detail
    assert caught.value.remedy


def test_what_cannot_be_installed_fails_in_the_installers_words(builder: EnvironmentBuilder) -> None:
    with pytest.raises(PackagingFailed) as caught:
        builder.ensure("no-such-package-specrunner-xyz==9\n")
    assert "no-such-package-specrunner-xyz" in caught.value.detail


def _output(python: Path, code: str) -> str:
    done = subprocess.run([str(python), "-P", "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout
