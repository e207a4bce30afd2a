"""Where distributions come from: the user's pip configuration, in the words of uv.

uv reads neither pip.conf nor PIP_*, and people have their package indexes there. What pip would use for
`pip install` is translated to uv's environment variables; a UV_* that the user has set wins over it. Sources:
pip's "Configuration" page (files, sections and their precedence) and uv's "Environment variables" reference.
"""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from specrunner.core.errors import PackagingFailed

# What changes the outcome of a resolution. Credentials, time limits and the like do not, and UV_OFFLINE must not:
# a remembered lock is there for the day without a network.
_RESOLVING = (
    "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_FIND_LINKS", "UV_INDEX_STRATEGY",
    "UV_PRERELEASE", "UV_RESOLUTION", "UV_EXCLUDE_NEWER", "UV_CONSTRAINT", "UV_OVERRIDE", "UV_EXCLUDE",
    "UV_NO_BUILD", "UV_NO_BUILD_PACKAGE", "UV_NO_BINARY", "UV_NO_BINARY_PACKAGE", "UV_TORCH_BACKEND",
)  # fmt: skip
_RESOLVING_FILES = ("UV_CONSTRAINT", "UV_OVERRIDE", "UV_EXCLUDE", "UV_CONFIG_FILE")
_TRUE = frozenset({"1", "true", "t", "yes", "y", "on"})  # what pip takes for true


@dataclass(frozen=True, slots=True)
class Indexes:
    """Settings for uv: environment variables to add, and options that uv has no variable for."""

    env: Mapping[str, str]
    options: tuple[str, ...] = ()


def from_pip(environ: Mapping[str, str]) -> Indexes:
    """The settings of uv that say what pip's configuration says, for a process environment.

    Raises PackagingFailed naming a configuration file that cannot be parsed.
    """
    settings = pip_settings(environ)
    env = _sources(settings, environ) | _choices(settings) | _transport(settings, environ)
    options = ("--no-index",) if _is_true(settings.get("no-index", "")) else ()
    return Indexes({name: value for name, value in env.items() if name not in environ}, options)


def pip_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Pip's long option names with what they are set to for `pip install`, empty values left out.

    As in pip, `[install]` of any file beats `[global]` of every file, and PIP_* beats both.
    """
    sections: dict[str, dict[str, str]] = {"global": {}, "install": {}}
    for path in pip_files(environ):
        parser = _parsed(path)
        for section, settings in sections.items():
            if parser.has_section(section):
                settings.update({key.replace("_", "-"): value for key, value in parser.items(section)})
    ambient = {
        name.removeprefix("PIP_").lower().replace("_", "-"): value
        for name, value in environ.items()
        if name.startswith("PIP_")
    }
    merged = sections["global"] | sections["install"] | {key: value for key, value in ambient.items() if value}
    return {key: value.strip() for key, value in merged.items() if value and value.strip()}


def pip_files(environ: Mapping[str, str]) -> list[Path]:
    """Pip's configuration files that exist, the weakest first: global, user, virtualenv, PIP_CONFIG_FILE."""
    chosen = environ.get("PIP_CONFIG_FILE", "")
    if chosen == os.devnull:
        return []
    home = Path(environ.get("HOME") or Path.home())
    shared = [Path(folder, "pip/pip.conf") for folder in _folders(environ.get("XDG_CONFIG_DIRS") or "/etc/xdg")]
    files = [*shared, Path("/etc/pip.conf")]
    if not (chosen and Path(chosen).exists()):
        files += [home / ".pip/pip.conf", _user_config(environ) / "pip/pip.conf"]
    files.append(Path(sys.prefix, "pip.conf"))
    if chosen:
        files.append(Path(chosen))
    return [path for path in files if path.is_file()]


def identity(environ: Mapping[str, str], options: Iterable[str]) -> dict[str, object]:
    """What a resolution depends on besides requirements and interpreter, as JSON, for a digest.

    `environ` is uv's own environment, the pip mapping included. It may hold passwords in index addresses: hash
    it, never store it.
    """
    files = [Path(path) for name in _RESOLVING_FILES for path in environ.get(name, "").split()]
    files += [Path("/etc/uv/uv.toml"), _user_config(environ) / "uv/uv.toml"]
    return {
        "settings": {name: environ[name] for name in _RESOLVING if name in environ},
        "options": list(options),
        "files": {str(path): path.read_text("utf-8", "replace") for path in files if path.is_file()},
    }


def _sources(settings: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    env = {}
    if "index-url" in settings and not _any(environ, "UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        env["UV_DEFAULT_INDEX"] = settings["index-url"]
    extra = [url for url in settings.get("extra-index-url", "").split() if _is_reachable(url)]
    if extra and not _any(environ, "UV_INDEX", "UV_EXTRA_INDEX_URL"):
        env["UV_INDEX"] = " ".join(extra)
        # uv stops at the first index that has a name; pip takes the best version of all its indexes. Who wrote
        # extra-index-url for pip relies on the latter: an extra index with one old wheel must not hide the rest.
        env["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    links = [_local(link) for link in settings.get("find-links", "").split() if _is_reachable(link)]
    if links:
        env["UV_FIND_LINKS"] = ",".join(links)  # the one list that uv separates with commas
    return env


def _choices(settings: Mapping[str, str]) -> dict[str, str]:
    env = {}
    if _is_true(settings.get("pre", "")):
        env["UV_PRERELEASE"] = "allow"
    if "constraint" in settings:
        env["UV_CONSTRAINT"] = " ".join(_local(path) for path in settings["constraint"].split())
    for option, name in (("only-binary", "UV_NO_BUILD"), ("no-binary", "UV_NO_BINARY")):
        packages = settings.get(option, "").replace(",", " ").split()
        if ":all:" in packages:
            env[name] = "1"
        elif packages and packages != [":none:"]:
            env[f"{name}_PACKAGE"] = " ".join(packages)
    return env


def _transport(settings: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    env = {}
    certificates = settings.get("cert") or environ.get("REQUESTS_CA_BUNDLE") or environ.get("CURL_CA_BUNDLE")
    if certificates and Path(_local(certificates)).is_file():
        env["SSL_CERT_FILE"] = _local(certificates)
    if "client-cert" in settings:
        env["SSL_CLIENT_CERT"] = _local(settings["client-cert"])
    if "trusted-host" in settings:
        env["UV_INSECURE_HOST"] = " ".join(settings["trusted-host"].split())
    if "proxy" in settings and not _any(environ, "ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy"):
        env["ALL_PROXY"] = settings["proxy"]
    timeout = settings.get("timeout") or settings.get("default-timeout", "")
    if timeout.isdecimal():
        env["UV_HTTP_TIMEOUT"] = timeout
    if settings.get("retries", "").isdecimal():
        env["UV_HTTP_RETRIES"] = settings["retries"]
    if settings.get("keyring-provider") == "subprocess":
        env["UV_KEYRING_PROVIDER"] = "subprocess"
    return env


def _parsed(path: Path) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(path.read_text("utf-8"), str(path))
    except (configparser.Error, UnicodeDecodeError, OSError) as error:
        raise PackagingFailed(
            "pip's configuration cannot be read",
            f"{path}: {error}",
            f"Mend {path}, or set PIP_CONFIG_FILE={os.devnull} and name the indexes in UV_INDEX and UV_DEFAULT_INDEX.",
        ) from error
    return parser


def _local(link: str) -> str:
    """A path or file: URL as an absolute path; other URLs as they are. uv runs in another folder than we do."""
    parts = urlsplit(link)
    if parts.scheme == "file":
        return url2pathname(parts.path)
    return link if parts.scheme else str(Path(link).expanduser().absolute())


def _is_reachable(link: str) -> bool:
    # pip passes over folders that are not there, uv fails at them.
    local = _local(link)
    return bool(urlsplit(local).scheme) or Path(local).exists()


def _user_config(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or Path.home(), ".config"))


def _folders(text: str) -> list[str]:
    return [folder for folder in text.split(os.pathsep) if folder]


def _any(environ: Mapping[str, str], *names: str) -> bool:
    return any(environ.get(name) for name in names)


def _is_true(text: str) -> bool:
    return text.lower() in _TRUE
