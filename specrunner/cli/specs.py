"""Commands over the files alone: validate, schema."""

from __future__ import annotations

from pathlib import Path

import click

from specrunner.cli.terminal import say, say_json
from specrunner.cli.wiring import directory_option, environment_option, json_option, load_desired
from specrunner.core.errors import SpecrunnerError
from specrunner.core.keys import Kind
from specrunner.report.lines import Line, counted


@click.command()
@directory_option
@environment_option
@json_option
def validate(root: Path, environment: str | None, as_json: bool) -> None:
    """Check the spec files and report every problem at once. Works offline and changes nothing."""
    desired = load_desired(root, environment)
    counts = {kind: sum(key.kind is kind for key in desired.resources) for kind in Kind}
    if as_json:
        owner = {"project": desired.owner.project, "environment": desired.owner.environment}
        say_json({"problems": [], **owner, "resources": {str(kind): count for kind, count in counts.items()}})
        return
    words = ", ".join(counted(count, kind.lower()) for kind, count in counts.items() if count) or "nothing yet"
    say([Line(f"Valid: project {desired.owner.project} ({desired.owner.environment}) declares {words}.", "create")])


@click.command()
@click.argument("kind", required=False)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Write all schemas into this folder.")
def schema(kind: str | None, out: Path | None) -> None:
    """Print the JSON Schema of KIND, or list them; --out writes them all for editors."""
    from specrunner.spec.schema import schema_files

    files = schema_files()
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (out / name).write_bytes(data)
        click.echo(f"{counted(len(files), 'schema')} written to {out}")
    elif kind is None:
        click.echo("\n".join(sorted(name.removesuffix(".schema.json") for name in files)))
    else:
        wanted = f"{kind.lower()}.schema.json"
        if wanted not in files:
            known = ", ".join(sorted(name.removesuffix(".schema.json") for name in files))
            raise SpecrunnerError(f"There is no schema {kind!r}.", detail=f"There are: {known}.")
        click.echo(files[wanted].decode())
