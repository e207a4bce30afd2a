"""Commands for whoever writes specs: init, fmt, schema."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import click

from specrunner.cli.terminal import say
from specrunner.cli.wiring import directory_option
from specrunner.core.errors import InvalidSpecs, NotFound, Refused, SpecrunnerError, UsageError
from specrunner.report.lines import Line, counted

MODELINE: Final = "# yaml-language-server: $schema=https://specrunner.dev/schemas/v1/{}.schema.json\n"
ANY_KIND: Final = "specrunner.schema.json"  # the schema of all kinds, for files that hold several
_IGNORED: Final = ".specrunner/"
_LEFT_BEHIND: Final = frozenset({".specrunner", "__pycache__", "status"})  # what using an example leaves in it
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")

_IN_A_FOLDER: Final = re.compile(rb"(?m)(?:^  # What came of [^\n]*\n)?^  status:\n    directory: status\n")
_ON_A_BRANCH: Final = b"""\
  # What came of each apply and run is recorded on this branch, which nobody needs to check out.
  status:
    branch: specrunner-status
"""

_STARTER: Final = {
    ".gitignore": "# What the local target keeps: its database, uploaded files, environments, logs.\n"
    f"{_IGNORED}\n__pycache__/\n",
    "specrunner.yaml": MODELINE.format("project")
    + """\
# The one file that makes a folder a spec repository. It stands at the root.
apiVersion: specrunner/v1
kind: Project
metadata:
  name: "@NAME@"
spec:
  # Documents that name no workspace belong to this one.
  defaultWorkspace: "@NAME@"
  # The engine embedded in specrunner. It keeps what is live in .specrunner/ beside this file.
  target: local
  # What came of each apply is recorded in this folder, to be committed with the rest.
  status:
    directory: status
""",
    "workspace.yaml": MODELINE.format("workspace")
    + """\
apiVersion: specrunner/v1
kind: Workspace
metadata:
  name: "@NAME@"
""",
    "hello.yaml": MODELINE.format("orchestration")
    + """\
# A folder of Python code. A run starts its main.py in a process of its own, with the packages of its
# requirements.txt, where there is one.
apiVersion: specrunner/v1
kind: Orchestration
metadata:
  name: hello
spec:
  source: orchestrations/hello
""",
    "tasks.yaml": MODELINE.format("task")
    + """\
# Runs once, and once more whenever this document or the orchestration changes. `schedule: "0 2 * * *"` would run it
# every night at two.
apiVersion: specrunner/v1
kind: Task
metadata:
  name: say hello
spec:
  orchestration: hello
  args:
    greeting: Hello
  timeout: 5m
""",
    "orchestrations/hello/main.py": '''\
"""The smallest orchestration. Code written for the `wallaroo` SDK runs here as it is."""

import wallaroo

client = wallaroo.Client()
arguments = client.task_args()
print(f"{arguments['greeting']} from a run of specrunner.")
''',
}

_FORGETFUL: Final = (
    Line("  ! The project records in a folder, which the runners of GitHub forget when their job ends.", "warning"),
    Line("      → Write `status: {branch: specrunner-status}` in specrunner.yaml.", "remedy"),
)


@click.command()
@click.argument("folder", required=False, type=click.Path(file_okay=False, path_type=Path), metavar="[DIR]")
@click.option("--example", metavar="EXAMPLE", help="Begin with an example that specrunner ships: house-price.")
@click.option("--name", metavar="NAME", help="The name of the project; default: that of the folder, or the example's.")
@click.option("--github", is_flag=True, help="Also write workflows for GitHub; in a spec repository, only these.")
@directory_option
def init(root: Path, folder: Path | None, example: str | None, name: str | None, github: bool) -> None:
    """Write a spec repository that works into DIR, by default the current folder. Overwrites nothing."""
    target = root / folder if folder else root
    files = _workflows() if github else {}
    if not (github and (target / "specrunner.yaml").is_file() and example is None):
        files |= _example(example, name) if example else _starter(_project_name(target, name))
        if github or _in_git(target):
            files["specrunner.yaml"] = _IN_A_FOLDER.sub(_ON_A_BRANCH, files["specrunner.yaml"])
    kept = {".gitignore"} if (target / ".gitignore").is_file() else set()
    new = {path: data for path, data in files.items() if path not in kept}
    _refuse_existing(target, new)
    for path, data in new.items():
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_bytes(data)
    say(_begun(target, sorted(new), ignored=not kept or _ignores(target / ".gitignore"), example=example))
    if github and _keeps_a_folder(target):
        say(_FORGETFUL)


def _project_name(target: Path, given: str | None) -> str:
    if given is not None and not _PLAIN_NAME.fullmatch(given):
        raise UsageError(
            f"{given!r} can't be the name of a project.",
            "It has letters, digits, `.`, `_` and `-`, begins with a letter or digit, and has at most 63.",
            "Choose another one after --name.",
        )
    cleaned = re.sub(r"[^A-Za-z0-9._-]+", "-", target.resolve().name).lstrip("._-")[:63]
    return given or cleaned or "my-project"


def _in_git(target: Path) -> bool:
    return any((folder / ".git").exists() for folder in (target.resolve(), *target.resolve().parents))


def _keeps_a_folder(target: Path) -> bool:
    """Whether records go to a folder of the work tree, which a runner of GitHub's forgets with all the rest."""
    from specrunner.spec.desired import bare_project

    try:
        status = bare_project(target).status
    except SpecrunnerError:
        return False  # it can't be read; `validate` tells why
    return isinstance(status, dict) and "directory" in status


def _starter(name: str) -> dict[str, bytes]:
    return {path: text.replace("@NAME@", name).encode() for path, text in _STARTER.items()}


def _example(example: str, name: str | None) -> dict[str, bytes]:
    """The files of a shipped example, by relative path; its project renamed where a name is given."""
    folder = _examples().get(example)
    if folder is None:
        raise NotFound(f"There is no example {example!r}.", f"There are: {', '.join(sorted(_examples()))}.")
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and _LEFT_BEHIND.isdisjoint(path.relative_to(folder).parts)
    }
    if name is not None:
        plain = json.dumps(_project_name(folder, name)).encode()
        files["specrunner.yaml"] = re.sub(rb"(?m)^  name: .*$", b"  name: " + plain, files["specrunner.yaml"], count=1)
    return files


def _workflows() -> dict[str, bytes]:
    """The workflows that are shipped, by relative path."""
    top = _shipped()
    return {path.relative_to(top).as_posix(): path.read_bytes() for path in sorted(top.glob(".github/workflows/*.yml"))}


def _examples() -> dict[str, Path]:
    return {path.name: path for path in _shipped().iterdir() if (path / "specrunner.yaml").is_file()}


def _shipped() -> Path:
    """The wheel carries the examples inside the package, a checkout at the top of the repository."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "examples", package.parent / "examples" / "specs"):
        if folder.is_dir():
            return folder
    raise SpecrunnerError(
        "The examples are missing.", f"They are neither in {package} nor beside it.", "Install specrunner anew."
    )


def _refuse_existing(target: Path, files: dict[str, bytes]) -> None:
    parents = {parent.as_posix() for path in files for parent in Path(path).parents}
    blocked = [path for path in sorted(parents - {"."}) if (target / path).exists() and not (target / path).is_dir()]
    there = [path for path in sorted(files) if (target / path).exists() or (target / path).is_symlink()]
    if blocked or there:
        raise Refused(
            f"{counted(len(blocked + there), 'file')} would be overwritten; nothing was written.",
            "\n".join(f"{path} is there already." for path in (*blocked, *there)),
            "Move them away, or name an empty folder: `specrunner init DIR`.",
        )


def _ignores(file: Path) -> bool:
    names = {".specrunner", ".specrunner/", "/.specrunner", "/.specrunner/"}
    return not names.isdisjoint(line.strip() for line in file.read_text("utf-8", errors="replace").splitlines())


def _begun(target: Path, files: Sequence[str], *, ignored: bool, example: str | None) -> Iterator[Line]:
    yield from (Line(f"  + {path}", "create") for path in files)
    if not ignored:
        yield Line(f"  ! The .gitignore that is there does not name {_IGNORED}, where the state is kept.", "warning")
        yield Line(f"      → Add the line `{_IGNORED}` to it.", "remedy")
    here = "" if target == Path.cwd() else f"-C {target} "
    read = "README.md says what it shows. " if example else ""
    yield Line(
        f"Ready. {read}`specrunner {here}plan` shows what would be done, `specrunner {here}apply` does it.", "bold"
    )


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATHS]...")
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 where a file is not in form.")
@click.option("--diff", is_flag=True, help="Write nothing; show what would change.")
@directory_option
def fmt(root: Path, paths: tuple[str, ...], check: bool, diff: bool) -> int:
    """Put the keys of every document in the order of its schema. Comments stay with their keys, meaning stays.

    PATHS are files or folders of the spec repository; without them, all of its files. A file that can't be read is
    left alone and told.
    """
    from specrunner.spec.formatting import changes, write

    known, found, problems = changes(root)
    wanted = set(known) if not paths else {name for path in paths for name in _below(root, path, known)}
    chosen = [change for change in found if change.path in wanted]
    for change in chosen:
        if diff:
            say(_diff_lines(change.path, change.before, change.after))
        elif not check:
            write(root, change)
    told = [problem for problem in problems if problem.place is None or problem.place.file in wanted]
    if not diff:
        say(Line(f"  ~ {change.path}", "change") for change in chosen)
    verb = "would change" if check or diff else "changed"
    say(
        [Line(f"{counted(len(chosen), 'file')} {verb}, {len(wanted) - len(chosen)} stay as they are.", "bold")],
        stderr=diff,
    )
    if told:
        raise InvalidSpecs(told)
    return 1 if check and chosen else 0


def _below(root: Path, path: str, known: Sequence[str]) -> list[str]:
    """The files of the repository that a path means, given from the current folder or from the root."""
    for base in (Path.cwd(), root):
        full = (base / path).resolve()
        if full.is_relative_to(root.resolve()):
            name = full.relative_to(root.resolve()).as_posix()
            found = [one for one in known if name in {one, "."} or one.startswith(f"{name}/")]
            if found:
                return found
    raise NotFound(
        f"{path} is no file of this spec repository.",
        f"Its root is {root}; foreign YAML is left alone.",
        "`specrunner validate -v` lists which files are read.",
    )


def _diff_lines(path: str, before: str, after: str) -> Iterator[Line]:
    styles = {"+": "create", "-": "delete", "@": "dim"}
    for text in difflib.unified_diff(before.splitlines(), after.splitlines(), f"a/{path}", f"b/{path}", lineterm=""):
        yield Line(text, styles.get(text[:1], ""))


@click.command()
@click.argument("kind", required=False)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Write all schemas into this folder.")
def schema(kind: str | None, out: Path | None) -> None:
    """Print the JSON Schema of KIND, or list them; --out writes them all for editors."""
    from specrunner.spec.schema import schema_files

    files = schema_files()
    names = sorted(name.removesuffix(".schema.json") for name in files)
    if out is not None:
        _write_schemas(files, out)
    elif kind is None:
        click.echo("\n".join(names))
    elif kind.lower() not in names:
        raise NotFound(f"There is no schema {kind!r}.", f"There are: {', '.join(names)}.", "Name one of them.")
    else:
        click.echo(files[f"{kind.lower()}.schema.json"].decode())


def _write_schemas(files: dict[str, bytes], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    whole = {**files, ANY_KIND: json.dumps(any_kind(), indent=2).encode() + b"\n"}
    for name, data in whole.items():
        (out / name).write_bytes(data)
    say(
        [
            Line(f"{counted(len(whole), 'schema')} written to {out}.", "bold"),
            Line(),
            Line(
                "VS Code with the YAML extension, in .vscode/settings.json; narrow the pattern where other YAML lies:"
            ),
        ]
    )
    setting = {"yaml.schemas": {f"{'' if out.is_absolute() else './'}{(out / ANY_KIND).as_posix()}": "**/*.yaml"}}
    click.echo(json.dumps(setting, indent=2))
    say(
        [
            Line("Any editor with a YAML language server, as the first line of a file:"),
            Line(f"# yaml-language-server: $schema={(out / ANY_KIND).as_posix()}"),
        ]
    )


def any_kind() -> dict[str, object]:
    """A schema of every kind: `kind` decides which holds. It lies beside the schemas that it refers to."""
    from specrunner.spec.schema import API_VERSION, KINDS

    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "specrunner",
        "description": "A document of a spec repository, of any kind.",
        "type": "object",
        "required": ["apiVersion", "kind"],
        "properties": {
            "apiVersion": {"description": "The version of the spec language.", "enum": [API_VERSION]},
            "kind": {"description": "The kind of document.", "enum": list(KINDS)},
        },
        "allOf": [
            {
                "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
                "then": {"$ref": f"{kind.lower()}.schema.json"},
            }
            for kind in KINDS
        ],
    }
