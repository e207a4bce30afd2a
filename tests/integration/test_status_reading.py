"""Reading the status branch again: what has changed since is all that is looked at, and nothing else is told."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from specrunner.record.plumbing import Plumbing
from tests.contract.repository_samples import BRANCH, Hub, git, make_hub, status_in


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return make_hub(tmp_path)


def test_what_is_read_again_is_what_a_fresh_clone_reads(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    chance, folder = random.Random(1), hub.folder
    one, other = hub.status("one"), hub.status("other")
    listed: list[str] = []
    whole = Plumbing.listing

    def listing(self: Plumbing, commit: str, prefix: str = "") -> dict[str, str]:
        listed.append(commit)
        return whole(self, commit, prefix)

    one.write({"live/0.yaml": b"first"}, "first")
    with monkeypatch.context() as patch:
        patch.setattr(Plumbing, "listing", listing)
        for turn in range(12):
            writer = chance.choice((one, other))
            paths = chance.sample(
                [f"{env}/{name}/{n}.yaml" for env in ("live", "lively") for n in "ab" for name in "xy"], 3
            )
            writer.write({path: chance.choice((None, b"%d" % turn, b"same")) for path in paths}, f"turn {turn}")
            writer.push()
            one._looked = float("-inf")
            found = one.read("live/")
            assert dict(found) == {path: data for path, data in hub.files().items() if path.startswith("live/")}
    assert len([commit for commit in listed if commit != BRANCH]) == 1  # the others are those of the hub
    assert dict(status_in(folder / "one").read("live/")) == dict(found)


def test_who_reads_an_older_state_goes_on_seeing_it(hub: Hub) -> None:
    status = hub.status("one")
    status.write({"live/a.yaml": b"1", "live/b.yaml": b"1"}, "one")
    before = status.read("live/")
    status.write({"live/a.yaml": b"2", "live/b.yaml": None}, "two")
    assert dict(status.read("live/")) == {"live/a.yaml": b"2"}
    assert dict(before) == {"live/a.yaml": b"1", "live/b.yaml": b"1"}


def test_what_is_known_of_a_commit_that_is_gone_is_forgotten(hub: Hub) -> None:
    status = hub.status("one")
    status.write({"live/a.yaml": b"1"}, "one")
    status.read("live/")
    clone = hub.folder / "one"
    git(clone, "update-ref", "-d", f"refs/heads/{BRANCH}")
    git(clone, "-c", "gc.reflogExpireUnreachable=now", "gc", "-q", "--prune=now")
    assert dict(status.read("live/")) == {}
    status.write({"live/b.yaml": b"1"}, "two")
    assert dict(status.read("live/")) == {"live/b.yaml": b"1"}
    assert dict(status.read("")) == {"live/b.yaml": b"1"}
