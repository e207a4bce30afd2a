"""Names as people give them: spaces, slashes, other alphabets, leading dots."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrunner.record.names import from_file_name, to_file_name
from tests.acceptance.spec_repo import SpecRepo

ODD = [".hidden", "a/b", "nächtlich ☾ 夜", "50% off; $(touch x) 'quoted'", "--yes", ".."]
LONG = "夜" * 128  # as long as a name may be; its escaped form is longer than a file name may be

READS_ALL = """\
    import wallaroo
    wl = wallaroo.Client()
    args = wl.task_args()
    print("I am", args["name"])
    for name in args["connections"]:
        print(name, wl.get_connection(name=name).details()["host"])
    """


def test_odd_names_work_everywhere(repo: SpecRepo) -> None:
    repo.orchestration("reads", READS_ALL)
    for number, name in enumerate([*ODD, LONG]):
        details = {"type": "HTTP", "workspaces": ["lab"], "details": {"host": f"host-{number}"}}
        repo.document("Connection", name, details, file=f"odd/connection-{number}.yaml")
        repo.task(name, "reads", file=f"odd/task-{number}.yaml", args={"name": name, "connections": ODD})
    repo.run("apply", "--yes")

    everyone = {f"Task/lab/{name}" for name in [*ODD, LONG]}
    assert {(run["task"], run["status"]) for run in repo.runs()} == {(task, "success") for task in everyone}
    hosts = [f"{name} host-{number}" for number, name in enumerate(ODD)]
    for name in ODD[1:3]:
        assert repo.run("logs", "--", name).out.splitlines() == [f"I am {name}", *hosts]

    tasks = repo.status_files("tasks/lab/*.yaml")
    assert {content["key"] for content in tasks.values()} == everyone
    reversible = [path.split("/")[-1].removesuffix(".yaml") for path in tasks if "~" not in path]
    assert {from_file_name(name) for name in reversible} == set(ODD)
    connections = repo.status_files("connections/*.yaml")
    assert {content["key"] for content in connections.values()} == {f"Connection/{name}" for name in [*ODD, LONG]}
    assert len(repo.status_files("runs/lab/*/*.yaml")) == len(ODD) + 1
    files = [path for path in (repo.root / "status").rglob("*") if path.is_file()]
    assert not [path for path in files if path.name.startswith(".")]
    assert repo.run("apply", "--yes").out.startswith("No changes")

    for number in range(len(ODD) + 1):
        repo.remove(f"odd/task-{number}.yaml")
        repo.remove(f"odd/connection-{number}.yaml")
    repo.run("apply", "--yes", "--force")
    assert not repo.status_files("tasks/**/*.yaml")
    assert not repo.status_files("connections/*.yaml")


names = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=128)


@given(names, names)
def test_file_names_are_short_visible_and_tell_names_apart(one: str, other: str) -> None:
    escaped = to_file_name(one)
    assert len(escaped.encode()) <= 200
    assert not escaped.startswith(".")
    assert "/" not in escaped
    assert (escaped == to_file_name(other)) == (one == other)
    if "~" in escaped:
        with pytest.raises(ValueError, match="shortened"):
            from_file_name(escaped)
    else:
        assert from_file_name(escaped) == one
