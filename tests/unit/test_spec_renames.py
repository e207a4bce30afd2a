"""`metadata.renamedFrom`, and where a field of a resource stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from specrunner.core.errors import Place
from specrunner.core.keys import Key
from specrunner.spec import loader, positions
from specrunner.spec.desired import load
from tests.unit.spec_samples import problems, resource, sample, task, write


def test_an_object_says_which_key_it_had_before(tmp_path: Path) -> None:
    root = sample(tmp_path, more=task("timeout: 5m", "{name: new, renamedFrom: old name}"))
    assert resource(root, "Task/forecasting/new").renamed_from == Key.parse("Task/forecasting/old name")
    assert resource(root, "Task/forecasting/nightly forecast").renamed_from is None


def test_a_former_name_that_stands_declared_in_another_workspace_is_another_object(tmp_path: Path) -> None:
    other = "apiVersion: specrunner/v1\nkind: Workspace\nmetadata: {name: other, renamedFrom: nightly forecast}\n"
    root = sample(tmp_path, more=other.replace("nightly forecast", "forecasts"))
    assert resource(root, "Workspace/other").renamed_from == Key.parse("Workspace/forecasts")


def test_each_wrong_rename_is_told_once(tmp_path: Path) -> None:
    texts = [task("{}", f"{{name: {name}, renamedFrom: {former}}}") for name, former in (("a", "x"), ("b", "x"))]
    root = sample(tmp_path, more="---\n".join(text.replace("\n  {}", "") for text in texts))
    assert [one.code for one in problems(root)] == ["bad-rename"]


PATCHED = """\
    apiVersion: specrunner/v1
    kind: Task
    metadata:
      name: nightly forecast
      labels: {team: blue}
    spec:
      timeout: 20m
    """


def test_a_field_stands_in_the_last_layer_that_sets_it(tmp_path: Path) -> None:
    project = """\
        apiVersion: specrunner/v1
        kind: Project
        metadata: {name: forecasting}
        spec: {defaultWorkspace: forecasting, environments: {prod: {}}}
        """
    root = write(sample(tmp_path, specrunner=project), {"environments/prod/tasks.yaml": PATCHED})
    found = resource(root, "Task/forecasting/nightly forecast", "prod")
    assert found.locate is not None
    assert found.locate(("timeout",)) == Place("environments/prod/tasks.yaml", 7, 3)
    assert found.locate(("metadata", "labels", "team")) == Place("environments/prod/tasks.yaml", 5, 12)
    assert found.locate(("args", "pipeline_name")) == Place("tasks.yaml", 11, 10)
    # What nobody wrote stands where it follows from, or where it would be written.
    assert found.locate(("orchestrationSha",)) == Place("tasks.yaml", 10, 3)
    assert found.locate(("retries", "limit")) == Place("tasks.yaml", 9, 1)
    pipeline = resource(root, "Pipeline/forecasting/house-price", "prod")
    assert pipeline.locate is not None
    assert pipeline.locate(("steps", "0", "model")) == Place("serving.yaml", 10, 12)
    assert pipeline.locate(("modelShas", "house-price")).line == 10


@pytest.mark.parametrize("count", [100])
def test_asking_for_the_fields_of_many_documents_of_one_file_reads_each_of_them_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    documents = [task(f"timeout: {number + 1}s", f"{{name: task-{number}}}") for number in range(count)]
    root = sample(tmp_path, many="---\n".join(documents))
    found = load(root).resources
    read: list[int] = []
    real = loader.nodes

    def counted(text: str) -> object:
        read.append(len(text))
        return real(text)

    monkeypatch.setattr(positions, "nodes", counted)
    for number in range(count):
        locate = found[Key.parse(f"Task/forecasting/task-{number}")].locate
        assert locate is not None
        assert locate(("timeout",)).line == 7 * number + 6
        assert locate(("orchestration",)).line == 7 * number + 5
    assert len(read) == count
    assert sum(read) <= len("".join(documents))


def test_a_text_that_looks_like_the_end_of_a_document_is_not_it(tmp_path: Path) -> None:
    args = "args:\n    text: |\n      ---\n      x: 1\n    more: '---x'\n    flow: {a:\n---x}\n  timeout: 5m"
    root = sample(tmp_path, more=task(args))
    locate = resource(root, "Task/forecasting/t").locate
    assert locate is not None
    assert locate(("timeout",)).line == len((root / "more.yaml").read_text().splitlines())
