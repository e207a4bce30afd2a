"""Commands that show what the files amount to: render, graph."""

from __future__ import annotations

from pathlib import Path

import click

from specrunner.cli.terminal import say
from specrunner.cli.wiring import directory_option, environment_option


@click.command()
@directory_option
@environment_option
@click.option("--defaults/--no-defaults", default=True, help="Write out what nobody wrote; default: yes.")
def render(root: Path, environment: str | None, defaults: bool) -> None:
    """Print the documents as they hold in one environment: variables replaced, patches merged, defaults filled in.

    Secrets stay references to their sources. The output is itself a spec: saved as specrunner.yaml beside the files
    that it names, it declares the same.
    """
    from specrunner.spec.rendering import rendered

    click.echo(rendered(root, environment, defaults=defaults), nl=False)


@click.command()
@directory_option
@environment_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "mermaid"]),
    default="text",
    show_default=True,
    help="A tree for the terminal, or a Mermaid flowchart, which GitHub draws in Markdown.",
)
def graph(root: Path, environment: str | None, form: str) -> None:
    """Draw which object refers to which: references, `dependsOn`, and connections attached to workspaces."""
    from specrunner.report.graph import mermaid_lines, tree_lines
    from specrunner.spec.desired import load

    desired = load(root, environment, offline=True)  # no secret is read here
    say(mermaid_lines(desired) if form == "mermaid" else tree_lines(desired))
