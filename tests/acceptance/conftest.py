"""Fixtures of the acceptance tests: one cache for all environments, spec repositories, golden files."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.acceptance.normalise import normalised
from tests.acceptance.spec_repo import PROJECT, WORKSPACE, Result, SpecRepo

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--regenerate", action="store_true", help="Write the golden files anew from what was printed.")


@pytest.fixture(scope="session")
def cache(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of environments: one for all tests and, with pytest's own cache, for all sessions of a checkout."""
    given = os.environ.get("SPECRUNNER_CACHE")
    if given:
        return Path(given)
    kept = getattr(pytestconfig, "cache", None)
    return Path(kept.mkdir("specrunner")) if kept is not None else tmp_path_factory.mktemp("cache")


@pytest.fixture
def repo(tmp_path: Path, cache: Path) -> SpecRepo:
    """A spec repository with a project and a workspace."""
    return make_repo(tmp_path / "specs", cache)


def make_repo(root: Path, cache: Path) -> SpecRepo:
    made = SpecRepo(root, {"SPECRUNNER_CACHE": str(cache)})
    made.write("specrunner.yaml", PROJECT)
    made.write("workspace.yaml", WORKSPACE)
    return made


@pytest.fixture
def golden(pytestconfig: pytest.Config, repo: SpecRepo) -> Callable[[str, Result], None]:
    """Compare what a command said with `golden/NAME.txt`; `--regenerate` writes the file instead."""

    def compare(name: str, result: Result) -> None:
        file = GOLDEN / f"{name}.txt"
        found = normalised(result.said, repo.root)
        if pytestconfig.getoption("--regenerate", default=False):
            file.write_text(found, encoding="utf-8")
        assert found == file.read_text(encoding="utf-8")

    return compare


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on, as far as can be known."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of `localhost` that signs itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(*form))
    return folder / "cert.pem", folder / "key.pem"
