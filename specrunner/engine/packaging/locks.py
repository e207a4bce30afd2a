"""From requirements to a lock: one exact pin a line, for one interpreter, and nothing of this machine in it.

A lock is made once where the orchestration is packaged and may be installed elsewhere later. It therefore
names distributions and versions (or an address with https, where the requirements do), never an index or a
path; whoever installs it uses the indexes of their own configuration. Requirements that cannot be locked so are
refused in words: options of pip (`-r`, `-e`, `--index-url`) and local paths.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from specrunner.core.errors import PackagingFailed

BASE_SET = ("pandas", "pyarrow", "requests")  # in every environment; unpinned, so that the user's pins win

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_PIN = re.compile(rf"({_NAME})(?:==[^\s;]+| @ (?!file:)[a-z+]+://\S+)(?:\s+--hash=\S+)*")
_REQUIREMENT = re.compile(rf"({_NAME})\s*(?:\[[^\]]*\])?\s*==")
_HASH = re.compile(r"--hash[= ](\S+)")
_COMMENT = re.compile(r"(^|\s)#.*$")


def with_base_set(requirements: str) -> str:
    """The requirements to resolve.

    Raises PackagingFailed listing the lines that are options of pip: what an option names is not in the lock,
    so that it would be resolved here and then missed, or found elsewhere, where the lock is installed.
    """
    options = [line for line in logical_lines(requirements) if line.startswith("-")]
    if options:
        raise PackagingFailed(
            "requirements.txt holds options of pip, and only requirements can be locked",
            "\n".join(options),
            "Delete these lines. Indexes and build options belong into the configuration of the machine that runs "
            "specrunner: pip.conf, PIP_* or UV_*. Requirements of other files belong into this one.",
        )
    return "\n".join([*logical_lines(requirements), *BASE_SET, ""])


def finished(resolved: str, requirements: str) -> str:
    """The lock that a resolver's output makes, with the user's own `--hash` values carried over.

    Raises PackagingFailed for what is no exact pin, such as a local path.
    """
    hashes = _hashes(requirements)
    lines = sorted(line for line in logical_lines(resolved))
    loose = [line for line in lines if not _PIN.fullmatch(line)]
    if loose:
        raise PackagingFailed(
            "The requirements depend on files of this machine",
            "\n".join(loose),
            "Put the code into the orchestration's folder and import it from there, or publish it on a package index.",
        )
    return "".join(f"{line}{hashes.get(name_of(line), '')}\n" for line in lines)


def pinned_names(lock: str) -> frozenset[str]:
    """The normalised names of the distributions in a lock (PEP 503: lower case, runs of `-_.` as one `-`)."""
    return frozenset(name_of(line) for line in logical_lines(lock))


def logical_lines(text: str) -> Iterator[str]:
    """Lines as pip reads them: joined at a trailing backslash, without comments, none empty."""
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        stripped = _COMMENT.sub("", line).strip()
        if stripped:
            yield stripped


def name_of(line: str) -> str:
    """The normalised name of the distribution that a requirement or a pin is about."""
    match = re.match(_NAME, line)
    return _normal(match[0]) if match else line


def _hashes(requirements: str) -> dict[str, str]:
    """What to append to the pin of a distribution whose requirement has hashes: uv then checks them."""
    found = {}
    for line in logical_lines(requirements):
        match = _REQUIREMENT.match(line)
        values = _HASH.findall(line)
        if match and values:
            found[_normal(match[1])] = "".join(f" --hash={value}" for value in values)
    return found


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
