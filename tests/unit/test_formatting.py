"""`fmt` on texts: what moves, what goes along, what stays."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from specrunner.spec.formatting import changes, formatted, write
from specrunner.spec.loader import parse
from tests.unit.spec_samples import sample


def form(text: str) -> str:
    after = formatted(dedent(text))
    assert formatted(after) == after
    return after


def test_keys_come_in_the_order_of_the_schema_and_comments_with_them() -> None:
    assert form("""\
        # yaml-language-server: $schema=x
        kind: Task
        apiVersion: specrunner/v1
        # what it does
        spec: # in short
          # how long
          timeout: 5m  # at most
          args:
            z: 1
            a: 2
            # below the arguments
          # the code
          orchestration: "o"
          # at the end
        metadata: {labels: {z: a}, name: 't'}
        """) == dedent("""\
        # yaml-language-server: $schema=x
        apiVersion: specrunner/v1
        kind: Task
        metadata: {name: 't', labels: {z: a}}
        # what it does
        spec: # in short
          # the code
          orchestration: "o"
          args:
            z: 1
            a: 2
            # below the arguments
          # how long
          timeout: 5m  # at most
          # at the end
        """)


def test_a_comment_that_a_blank_line_parts_from_the_next_key_stays_with_the_one_above() -> None:
    assert form("""\
        kind: Workspace
        # about the kind

        # about the version
        apiVersion: specrunner/v1
        metadata: {name: w}
        """) == dedent("""\
        # about the version
        apiVersion: specrunner/v1
        kind: Workspace
        # about the kind
        metadata: {name: w}
        """)


def test_the_header_of_a_document_stays_on_top_and_the_block_at_the_first_key_moves() -> None:
    assert form("""\
        # header

        # the name
        metadata: {name: w}
        apiVersion: specrunner/v1
        kind: Workspace
        """) == dedent("""\
        # header

        apiVersion: specrunner/v1
        kind: Workspace
        # the name
        metadata: {name: w}
        """)


def test_lists_documents_and_mappings_begun_at_a_dash_are_reached() -> None:
    assert form("""\
        apiVersion: specrunner/v1
        kind: Workspace
        metadata: {name: w}
        ---
        spec:
          steps:
            - shadow: [b]
              # the one that answers
              model: a
            # divided
            - by: customer
              split:
                - {weight: 1, model: "c"}
                - weight: 2
                  model: d
        metadata: {name: p}
        kind: Pipeline
        apiVersion: specrunner/v1
        """) == dedent("""\
        apiVersion: specrunner/v1
        kind: Workspace
        metadata: {name: w}
        ---
        apiVersion: specrunner/v1
        kind: Pipeline
        metadata: {name: p}
        spec:
          steps:
            - # the one that answers
              model: a
              shadow: [b]
            # divided
            - split:
                - {model: "c", weight: 1}
                - model: d
                  weight: 2
              by: customer
        """)


def test_block_scalars_keep_their_text_and_an_alias_stays_behind_its_anchor() -> None:
    text = dedent("""\
        kind: Task
        metadata:
          description: |+
            # no comment

            kept

          name: t
        apiVersion: specrunner/v1
        spec:
          env: &shared {A: "1"}
          args: *shared
          orchestration: o
        """)
    after = form(text)
    assert after == dedent("""\
        apiVersion: specrunner/v1
        kind: Task
        metadata:
          name: t
          description: |+
            # no comment

            kept

        spec:
          orchestration: o
          env: &shared {A: "1"}
          args: *shared
        """)
    assert parse(after).documents[0][1] == parse(text).documents[0][1]


def test_spaces_at_line_ends_go_but_not_those_of_a_text() -> None:
    text = 'spec:\n  args:\n    a: |\n      x  \n      y \n    b: "p  \n      q"\n'
    before = f"kind: Task  \napiVersion: specrunner/v1\t\n{text}\n\n"
    assert formatted(before) == f"apiVersion: specrunner/v1\nkind: Task\n{text}"


@pytest.mark.parametrize(
    "text",
    [
        "kind: Task\n  apiVersion: [\n",  # no YAML
        "kind: Task\nkind: Task\napiVersion: specrunner/v1\n",  # a key twice
        "? kind\n: Task\n? apiVersion\n: specrunner/v1\n",  # a layout that can't be cut
        "{kind: Task, # comment\n apiVersion: specrunner/v1}\n",  # a comment between flow entries
        "apiVersion: specrunner/v1\nkind: Nothing\nspec: {}\nmetadata: {}\n",  # a kind without a schema
        "# nothing but a comment\n",
        "",
    ],
)
def test_what_can_not_be_ordered_safely_stays(text: str) -> None:
    assert formatted(text) == text


def test_windows_line_ends_stay() -> None:
    assert formatted("kind: Task\r\napiVersion: specrunner/v1") == "apiVersion: specrunner/v1\r\nkind: Task\r\n"


def test_files_are_found_patches_too_and_broken_ones_are_told(tmp_path: Path) -> None:
    wrong = "kind: Workspace\napiVersion: specrunner/v1\nmetadata: {name: forecasting}\n"
    root = sample(
        tmp_path,
        workspace=wrong,
        broken="apiVersion: specrunner/v1\nkind: [\n",
        foreign="b: 1\na: 2\n",
        **{"environments/prod/patch": wrong},
    )
    known, found, problems = changes(root)
    assert [change.path for change in found] == ["workspace.yaml", "environments/prod/patch.yaml"]
    assert {problem.place.file for problem in problems if problem.place} == {"broken.yaml"}
    assert "foreign.yaml" not in known
    assert "tasks.yaml" in known


def test_a_file_is_replaced_with_its_mode_and_its_mark(tmp_path: Path) -> None:
    root = sample(tmp_path)
    file = root / "workspace.yaml"
    mark, rest = b"\xef\xbb\xbf", b"metadata: {name: forecasting}\n"
    file.write_bytes(mark + b"kind: Workspace\napiVersion: specrunner/v1\n" + rest)
    file.chmod(0o640)
    (change,) = changes(root)[1]
    write(root, change)
    assert file.read_bytes() == mark + b"apiVersion: specrunner/v1\nkind: Workspace\n" + rest
    assert file.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in root.iterdir() if path.name.startswith(".")] == []
