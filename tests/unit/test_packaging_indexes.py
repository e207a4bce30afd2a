from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from specrunner.core.errors import PackagingFailed
from specrunner.engine.packaging import indexes, uv

Environ = Callable[..., dict[str, str]]


@pytest.fixture
def environ(tmp_path: Path) -> Environ:
    """A process environment in which pip sees one configuration file, with this content."""

    def make(config: str = "", **variables: str) -> dict[str, str]:
        user = tmp_path / "config/pip/pip.conf"
        user.parent.mkdir(parents=True, exist_ok=True)
        user.write_text(config)
        chosen = tmp_path / "pip.conf"
        chosen.write_text(config)
        return {
            "HOME": str(tmp_path),
            "XDG_CONFIG_HOME": str(tmp_path / "config"),
            "PIP_CONFIG_FILE": str(chosen),
        } | variables

    return make


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("index-url = https://a.test/simple", {"UV_DEFAULT_INDEX": "https://a.test/simple"}),
        ("index_url = https://a.test/simple", {"UV_DEFAULT_INDEX": "https://a.test/simple"}),
        (
            "extra-index-url = https://a.test\n  https://b.test",
            {"UV_INDEX": "https://a.test https://b.test", "UV_INDEX_STRATEGY": "unsafe-best-match"},
        ),
        ("trusted-host = a.test b.test:8080", {"UV_INSECURE_HOST": "a.test b.test:8080"}),
        ("timeout = 60", {"UV_HTTP_TIMEOUT": "60"}),
        ("retries = 1", {"UV_HTTP_RETRIES": "1"}),
        ("proxy = http://proxy.test:3128", {"ALL_PROXY": "http://proxy.test:3128"}),
        ("pre = true", {"UV_PRERELEASE": "allow"}),
        ("pre = false", {}),
        ("only-binary = :all:", {"UV_NO_BUILD": "1"}),
        ("no-binary = a,b", {"UV_NO_BINARY_PACKAGE": "a b"}),
        ("constraint = /etc/limits.txt", {"UV_CONSTRAINT": "/etc/limits.txt"}),
        ("keyring-provider = subprocess", {"UV_KEYRING_PROVIDER": "subprocess"}),
        (
            "find-links = https://a.test/wheels https://b.test",
            {"UV_FIND_LINKS": "https://a.test/wheels,https://b.test"},
        ),
        ("quiet = 1", {}),
    ],
)
def test_each_setting_of_pip_has_its_variable_of_uv(environ: Environ, config: str, expected: dict[str, str]) -> None:
    base = indexes.from_pip(environ("[global]\n")).env
    assert {**base, **expected} == indexes.from_pip(environ(f"[global]\n{config}\n")).env


def test_pip_variables_beat_files_and_the_install_section_beats_global(environ: Environ) -> None:
    config = "[global]\nindex-url = https://global.test\ntimeout = 1\n[install]\nindex-url = https://install.test\n"
    assert indexes.pip_settings(environ(config))["index-url"] == "https://install.test"
    ambient = indexes.pip_settings(environ(config, PIP_INDEX_URL="https://ambient.test", PIP_TIMEOUT=""))
    assert ambient["index-url"] == "https://ambient.test"
    assert ambient["timeout"] == "1"


@pytest.mark.parametrize(
    ("option", "explicit"),
    [
        ("index-url", "UV_DEFAULT_INDEX"),
        ("index-url", "UV_INDEX_URL"),
        ("extra-index-url", "UV_INDEX"),
        ("extra-index-url", "UV_EXTRA_INDEX_URL"),
        ("find-links", "UV_FIND_LINKS"),
    ],
)
def test_what_is_set_for_uv_wins(environ: Environ, option: str, explicit: str) -> None:
    found = indexes.from_pip(environ(f"[global]\n{option} = https://pip.test\n", **{explicit: "https://uv.test"}))
    assert "https://pip.test" not in found.env.values()
    if explicit in {"UV_INDEX", "UV_EXTRA_INDEX_URL"}:
        assert "UV_INDEX_STRATEGY" not in found.env


def test_the_strategy_of_uv_stays_where_there_is_no_extra_index(environ: Environ) -> None:
    assert "UV_INDEX_STRATEGY" not in indexes.from_pip(environ("[global]\nindex-url = https://a.test\n")).env


def test_no_index_is_an_option_because_uv_has_no_variable(environ: Environ) -> None:
    assert indexes.from_pip(environ("[global]\nno-index = yes\n")).options == ("--no-index",)


def test_local_folders_become_absolute_and_missing_ones_are_passed_over(
    environ: Environ, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wheels").mkdir()
    monkeypatch.chdir(tmp_path)
    links = f"wheels {tmp_path / 'missing'} file://{tmp_path}/wheels"
    folder = str(tmp_path / "wheels")
    found = indexes.from_pip(environ(f"[global]\nfind-links = {links}\nextra-index-url = file://{tmp_path}/gone\n"))
    assert found.env["UV_FIND_LINKS"] == f"{folder},{folder}"
    assert "UV_INDEX" not in found.env


def test_a_certificate_is_used_unless_one_is_set(environ: Environ, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("")
    config = f"[global]\ncert = {tmp_path}/ca.pem\n"
    assert indexes.from_pip(environ(config)).env["SSL_CERT_FILE"] == f"{tmp_path}/ca.pem"
    assert "SSL_CERT_FILE" not in indexes.from_pip(environ(config, SSL_CERT_FILE="/other.pem")).env
    assert indexes.from_pip(environ(REQUESTS_CA_BUNDLE=f"{tmp_path}/ca.pem")).env["SSL_CERT_FILE"]


def test_the_user_file_is_read_unless_another_is_chosen(environ: Environ, tmp_path: Path) -> None:
    variables = environ("[global]\nretries = 7\n")
    assert tmp_path / "config/pip/pip.conf" not in indexes.pip_files(variables)
    del variables["PIP_CONFIG_FILE"]
    assert tmp_path / "config/pip/pip.conf" in indexes.pip_files(variables)
    assert indexes.pip_settings(variables)["retries"] == "7"
    assert indexes.pip_files(variables | {"PIP_CONFIG_FILE": os.devnull}) == []


def test_a_broken_file_is_named(environ: Environ, tmp_path: Path) -> None:
    with pytest.raises(PackagingFailed) as caught:
        indexes.from_pip(environ("index-url = without a section\n"))
    assert str(tmp_path / "pip.conf") in caught.value.detail
    assert str(tmp_path / "pip.conf") in caught.value.remedy


def test_identity_follows_what_decides_a_resolution_and_nothing_else(tmp_path: Path) -> None:
    limits = tmp_path / "limits.txt"
    limits.write_text("a<2")
    base = {"HOME": str(tmp_path), "UV_CONSTRAINT": str(limits)}
    first = indexes.identity(base, ())
    assert indexes.identity(base | {"UV_OFFLINE": "1", "UV_HTTP_TIMEOUT": "9"}, ()) == first
    assert indexes.identity(base | {"UV_INDEX": "https://a.test"}, ()) != first
    assert indexes.identity(base, ("--no-index",)) != first
    limits.write_text("a<3")
    assert indexes.identity(base, ()) != first


def test_uv_sees_the_declared_environment_only(environ: Environ, tmp_path: Path) -> None:
    ambient = environ(
        "[global]\nindex-url = https://pip.test\n",
        PATH="/bin", HTTPS_PROXY="http://proxy.test", UV_OFFLINE="1", UV_LINK_MODE="copy", UV_SYSTEM_PYTHON="1",
        PYTHONDONTWRITEBYTECODE="1", PYTHONPATH="/x", SECRET_TOKEN="x", VIRTUAL_ENV="/v",
    )  # fmt: skip
    tool = uv.configured(tmp_path / "cache", ambient)
    assert tool.is_offline
    assert tool.env["UV_DEFAULT_INDEX"] == "https://pip.test"
    assert tool.env["UV_LINK_MODE"] == "copy"
    assert tool.env["UV_CACHE_DIR"] == str(tmp_path / "cache/uv")
    assert tool.env["HTTPS_PROXY"] == "http://proxy.test"
    withheld = {"UV_SYSTEM_PYTHON", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "SECRET_TOKEN", "VIRTUAL_ENV"}
    assert not withheld & set(tool.env)
