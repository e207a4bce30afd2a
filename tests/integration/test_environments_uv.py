"""UvEnvironments with the real uv and the machine's own package index, in one cache for the whole session."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from specrunner.core.errors import PackagingFailed
from specrunner.engine.packaging.environments import UNUSED, UvEnvironments
from specrunner.engine.packaging.uv import TimeLimitExceeded

# Waits for a line, then wants the lock given as an argument; tells how many builds it took.
_ENSURE = """
import sys
from pathlib import Path
from specrunner.engine.packaging import builds
from specrunner.engine.packaging.environments import UvEnvironments
build, count = builds.build, 0
def counted(*arguments):
    global count
    count += 1
    build(*arguments)
builds.build = counted
print("ready", flush=True)
sys.stdin.readline()
UvEnvironments(Path(sys.argv[1])).ensure(sys.argv[2])
print(count)
"""
# Stops in the middle: all is installed, nothing is marked as whole.
_HANG = """
import signal, sys
from pathlib import Path
from specrunner.engine.packaging import builds
from specrunner.engine.packaging.environments import UvEnvironments
def hang(*ignored):
    print("building", flush=True)
    signal.pause()
builds._seal = hang
UvEnvironments(Path(sys.argv[1])).ensure(sys.argv[2])
"""

# Nothing is left but uv's cache; tells the interpreter of the new environment and the first line of the new lock.
_AGAIN = """
import socket, sys
from pathlib import Path
from specrunner.engine.packaging.environments import UvEnvironments
try:
    socket.create_connection(("127.0.0.1", 9), timeout=1)
except OSError as problem:
    assert problem.errno == 101, problem  # ENETUNREACH: not even ourselves
fresh = Path(sys.argv[2]) / "cache"
fresh.mkdir()
(fresh / "uv").symlink_to(Path(sys.argv[1]) / "uv")
builder = UvEnvironments(fresh)
lock = builder.lock("")
print(builder.ensure(lock).python)
print(lock.splitlines()[0])
"""


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp() / "environments-cache"


@pytest.fixture(scope="session")
def builder(cache: Path) -> UvEnvironments:
    return UvEnvironments(cache)


@pytest.fixture(scope="session")
def lock(builder: UvEnvironments) -> str:
    return builder.lock("")


@pytest.fixture
def small(builder: UvEnvironments, lock: str) -> str:
    """A lock of one small distribution, which the shared environment has brought into uv's cache."""
    builder.ensure(lock)
    return next(line for line in lock.splitlines() if line.startswith("idna==")) + "\n"


def test_empty_requirements_share_one_environment(builder: UvEnvironments, cache: Path, lock: str) -> None:
    first = builder.ensure(lock)
    start = time.perf_counter()
    second = UvEnvironments(cache).ensure(UvEnvironments(cache).lock("\n# nothing\n"))
    sys.stdout.write(f"second lock and ensure: {(time.perf_counter() - start) * 1000:.1f} ms\n")
    assert second == first


def test_everything_that_is_promised_can_be_imported(builder: UvEnvironments, lock: str) -> None:
    environment = builder.ensure(lock)
    code = "import wallaroo, specrunner.sdk, pandas, pyarrow, requests; print(specrunner.sdk.__file__)"
    found = Path(_output(environment.python, code).strip())
    assert found.is_relative_to(environment.folder)
    assert _output(environment.python, "import importlib.util as u; print(u.find_spec('specrunner.core'))") == "None\n"


def test_everything_is_compiled_and_read_only(builder: UvEnvironments, lock: str) -> None:
    environment = builder.ensure(lock)
    site_packages = next(environment.folder.glob("lib/*/site-packages"))
    for package in ("pandas", "specrunner", "specrunner/sdk", "wallaroo"):
        assert list((site_packages / package / "__pycache__").glob("__init__.*.pyc")), package
    writable = [
        path
        for path in environment.folder.rglob("*")
        if not path.is_symlink() and stat.S_IMODE(path.stat().st_mode) & 0o222
    ]
    assert writable == []


def test_pins_of_the_user_win_over_the_base_set_and_files_are_shared(builder: UvEnvironments, lock: str) -> None:
    pinned = builder.lock("requests==2.31.0\n")
    assert "requests==2.31.0" in pinned.splitlines()
    assert "://" not in pinned
    start = time.perf_counter()
    environment = builder.ensure(pinned)
    sys.stdout.write(f"another environment, warm: {(time.perf_counter() - start) * 1000:.0f} ms\n")
    assert _output(environment.python, "import requests; print(requests.__version__)") == "2.31.0\n"
    ours, theirs = (next(e.folder.glob("lib/*/site-packages/pandas")) for e in (environment, builder.ensure(lock)))
    assert (ours / "__init__.py").samefile(theirs / "__init__.py")
    compiled = next((ours / "__pycache__").glob("__init__.*.pyc")).name
    assert (ours / "__pycache__" / compiled).samefile(theirs / "__pycache__" / compiled)


def test_the_words_of_the_resolver_are_heard(cache: Path) -> None:
    heard: list[str] = []
    for path in (cache / "locks").glob("*"):
        path.unlink()
    UvEnvironments(cache).lock("", on_output=heard.append)
    assert any("Resolved" in line for line in heard)


def test_two_processes_at_once_build_once(cache: Path, small: str, tmp_path: Path) -> None:
    lock = f"{small}# {tmp_path}\n"  # an environment that no other test has built
    both = [_python(_ENSURE, cache, lock) for _ in range(2)]
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in both:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=60) for process in both]
    assert sorted(out for out, _ in outputs) == ["0\n", "1\n"], outputs


def test_a_killed_builder_leaves_nothing_usable_and_the_next_one_succeeds(
    cache: Path, small: str, tmp_path: Path
) -> None:
    lock = f"{small}# {tmp_path}\n"
    with _python(_HANG, cache, lock) as builder:
        assert builder.stdout is not None
        assert builder.stdout.readline() == "building\n"
        builder.send_signal(signal.SIGKILL)
        builder.wait(timeout=30)
    (leftover,) = [path for path in (cache / "environments").iterdir() if path.name.startswith(".")]
    environment = UvEnvironments(cache).ensure(lock)
    assert leftover.name.startswith(f".{environment.folder.name}-")
    assert not leftover.exists()
    assert _output(environment.python, "import idna; print('works')") == "works\n"


def test_a_folder_that_is_not_whole_is_replaced(builder: UvEnvironments, small: str, tmp_path: Path) -> None:
    lock = f"{small}# {tmp_path}\n"
    folder = builder.ensure(lock).folder
    folder.chmod(0o755)
    (folder / "specrunner-environment.json").unlink()
    environment = builder.ensure(lock)
    assert environment.folder == folder
    assert (folder / "specrunner-environment.json").exists()
    assert _output(environment.python, "import idna; print('works')") == "works\n"


def test_without_a_network_what_was_built_once_can_be_built_again(
    cache: Path, lock: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = UvEnvironments(cache).ensure(lock)
    monkeypatch.setenv("UV_OFFLINE", "1")
    offline = UvEnvironments(cache)
    assert offline.lock("") == lock
    os.utime(first.folder / "specrunner-environment.json", (0, 0))
    assert offline.collect(datetime(1971, 1, 1, tzinfo=UTC)) == [first.folder]
    offline.trim()  # what can still be used stays
    assert not first.folder.exists()
    assert _output(offline.ensure(lock).python, "import pandas; print('works')") == "works\n"


def test_in_a_namespace_without_a_network_all_is_resolved_and_built_anew(
    cache: Path, lock: str, tmp_path: Path
) -> None:
    first = UvEnvironments(cache).ensure(lock)
    words = [sys.executable, "-c", _AGAIN, str(cache), str(tmp_path)]
    done = subprocess.run(["unshare", "-n", *words], capture_output=True, text=True, timeout=300, check=False)
    if "unshare" in done.stderr:
        pytest.skip(f"no network namespace can be made here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    python, again = done.stdout.splitlines()
    assert again == lock.splitlines()[0]
    assert Path(python).is_relative_to(tmp_path)
    assert _output(Path(python), "import pandas; print('works')") == "works\n"
    assert first.folder.exists()


def test_without_a_network_nothing_new_can_be_had(builder: UvEnvironments, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    with pytest.raises(PackagingFailed):
        builder.lock("no-such-package-specrunner-xyz==9\n")


def test_an_index_of_pips_configuration_is_used_and_stays_out_of_the_lock(
    builder: UvEnvironments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _local_index(tmp_path / "simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", (tmp_path / "simple").as_uri())
    lock = builder.lock("specrunner-probe\n")
    assert "specrunner-probe==1.0" in lock.splitlines()
    assert str(tmp_path) not in lock
    folder = builder.ensure(lock).folder
    # The script was written while the folder had another name.
    script = folder / "bin/specrunner-probe"
    assert subprocess.run([script], capture_output=True, text=True, check=True, timeout=60).stdout == "probed\n"


def _local_index(folder: Path) -> None:
    """A package index (PEP 503) with one distribution that has one command."""
    wheel = "specrunner_probe-1.0-py3-none-any.whl"
    (folder / "specrunner-probe").mkdir(parents=True)
    (folder / "specrunner-probe/index.html").write_text(f'<a href="{wheel}">{wheel}</a>')
    info = "specrunner_probe-1.0.dist-info"
    with zipfile.ZipFile(folder / "specrunner-probe" / wheel, "w") as archive:
        archive.writestr("specrunner_probe.py", "def main() -> None:\n    print('probed')\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: specrunner-probe\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/entry_points.txt", "[console_scripts]\nspecrunner-probe = specrunner_probe:main\n")
        names = [*archive.namelist(), f"{info}/RECORD"]
        archive.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in names))


def test_a_build_has_a_time_limit_and_leaves_nothing(cache: Path, small: str, tmp_path: Path) -> None:
    before = set((cache / "environments").iterdir())
    with pytest.raises(TimeLimitExceeded):
        UvEnvironments(cache, time_limit=0.0).ensure(f"{small}# {tmp_path}\n")
    assert set((cache / "environments").iterdir()) == before


def test_collecting_keeps_what_was_used_since(builder: UvEnvironments, small: str, tmp_path: Path) -> None:
    old, fresh = (builder.ensure(f"{small}# {tmp_path} {word}\n").folder for word in ("old", "fresh"))
    os.utime(old / "specrunner-environment.json", (0, 0))
    assert builder.collect(datetime(1971, 1, 1, tzinfo=UTC)) == [old]
    assert not old.exists()
    assert fresh.exists()


def test_what_uv_has_fetched_can_be_given_back_and_what_is_built_works_on(tmp_path: Path, small: str) -> None:
    own = UvEnvironments(tmp_path / "cache")
    built = own.ensure(small)
    loose = own.downloads()
    assert loose > 0
    assert own.trim(wholly=True) == loose
    assert own.downloads() == 0
    assert _output(built.python, "print('works')") == "works\n"
    assert own.ensure(f"{small}# fetched again\n").folder.exists()


def test_a_cache_of_the_users_own_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = tmp_path / "theirs"
    (theirs / "wheels").mkdir(parents=True)
    monkeypatch.setenv("UV_CACHE_DIR", str(theirs))
    assert UvEnvironments(tmp_path).trim(wholly=True) == 0
    assert (theirs / "wheels").exists()


def test_collecting_spares_what_is_named_and_what_a_process_was_started_from(
    builder: UvEnvironments, small: str, tmp_path: Path
) -> None:
    named, busy, idle = (builder.ensure(f"{small}# {tmp_path} {word}\n") for word in ("named", "busy", "idle"))
    for found in (named, busy, idle):
        os.utime(found.folder / "specrunner-environment.json", (0, 0))
    code = "print('here', flush=True); input()"
    with subprocess.Popen([busy.python, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        # For a moment after it was started, the system tells no command line of it.
        assert process.stdout is not None and process.stdout.readline() == b"here\n"
        assert [one.name for one in builder.kept() if one.busy] == [busy.folder.name]
        gone = builder.collect(datetime(1971, 1, 1, tzinfo=UTC), keep=[named.folder.name])
        process.communicate(b"\n")
    assert gone == [idle.folder]
    assert builder.collect(datetime(1971, 1, 1, tzinfo=UTC)) == sorted([named.folder, busy.folder])


def test_whenever_one_is_built_those_that_nobody_used_for_long_go(
    builder: UvEnvironments, small: str, tmp_path: Path
) -> None:
    old = builder.ensure(f"{small}# {tmp_path} forgotten\n").folder
    lately = builder.ensure(f"{small}# {tmp_path} lately\n").folder
    for folder, age in ((old, UNUSED + timedelta(days=1)), (lately, UNUSED - timedelta(days=1))):
        moment = (datetime.now(UTC) - age).timestamp()
        os.utime(folder / "specrunner-environment.json", (moment, moment))
    builder.ensure(f"{small}# {tmp_path} another\n")
    assert (old.exists(), lately.exists()) == (False, True)


def test_what_is_kept_is_told_with_its_size_and_content(builder: UvEnvironments, lock: str) -> None:
    folder = builder.ensure(lock).folder
    found = next(one for one in builder.kept() if one.folder == folder)
    assert found.name == builder.name(lock)
    assert found.distributions == sum("==" in line for line in lock.splitlines())
    assert found.size > 100_000_000  # pandas and pyarrow
    assert sys.version.startswith(found.python)


def test_a_full_or_forbidden_folder_is_a_packaging_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PackagingFailed, match="cannot be written"):
        UvEnvironments(tmp_path / "file").ensure("idna==3.10\n")


def test_a_python_that_does_not_start_is_named(tmp_path: Path) -> None:
    with pytest.raises(PackagingFailed, match="nowhere"):
        UvEnvironments(tmp_path, tmp_path / "nowhere").lock("")


def test_another_interpreter_is_asked_for_its_facts(cache: Path, lock: str) -> None:
    shared = UvEnvironments(cache).ensure(lock)
    assert UvEnvironments(cache, shared.python).ensure(lock).digest == shared.digest


def _python(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _output(python: Path, code: str) -> str:
    # -P: the current folder is the checkout, and would be found before the environment.
    done = subprocess.run([str(python), "-P", "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout
