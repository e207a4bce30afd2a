"""A host on a disk that fills up and is given room again: `python -m … FOLDER`, in a private mount namespace.

What became of its instants is printed as JSON; `test_daemon_storage` starts this and judges it.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

from specrunner.core.errors import SpecrunnerError
from specrunner.core.lifecycle import RunState
from specrunner.engine.engine import Engine
from tests.integration.daemon_samples import Fast, daemon
from tests.integration.engine_samples import StubEnvironments, add_task, no_api, until
from tests.integration.private_disk import fill, mounted

SIZE = 4 * 2**20  # bytes of the disk
WITHOUT_ROOM = 4  # instants
MINUTE = timedelta(minutes=1)


def scene(disk: Path) -> dict[str, Any]:
    clock, folder = Fast(time.time(), 60), disk / "state"
    with Engine(folder, folder / "cache", no_api, clock, environments=StubEnvironments()) as engine:
        schedule = {"cron": "* * * * *", "overlap": "allow", "catchUp": "all"}
        task = add_task(engine, "", schedule=schedule, history={"succeeded": 10**6, "failed": 10**6})

        def ended() -> int:
            return sum(run.status.ended for run in engine.history.of_task(task.id))

        with daemon(folder, clock) as host:
            until(lambda: ended() >= 2, "runs before")
            # Runs that end and a checkpoint of the database give room back: it is full when it takes nothing more.
            until(lambda: not takes_more(engine, fill(disk)), "a disk without room")
            before = clock.now()
            until(lambda: filled_for(disk, clock.now() - before), "instants without room")
            is_up, freed = host.process.poll() is None, clock.now()
            fill(disk).unlink()
            enough = ended() + WITHOUT_ROOM + 2
            until(lambda: ended() >= enough, "runs after")
            engine.tasks.suspend(task)
            until(lambda: not engine.history.active(), "the end of everything")
            host.stop()
        runs = engine.history.of_task(task.id)
    with closing(sqlite3.connect(folder / "state.db")) as connection:
        whole = connection.execute("PRAGMA integrity_check").fetchone()[0]
    return {
        "up": is_up,
        "integrity": whole,
        "made_up_for": sum(bool(run.scheduled_at and run.scheduled_at < freed < run.created_at) for run in runs),
        "instants": sorted(run.scheduled_at.timestamp() for run in runs if run.scheduled_at and not run.first_at),
        "states": sorted({str(run.status) for run in runs if run.status is not RunState.SKIPPED}),
    }


def takes_more(engine: Engine, _filler: Path) -> bool:
    """Whether the database has room for one more line of history."""
    try:
        with engine._context.database.write() as connection:
            engine._context.event(connection, "disk:full", "asked")
    except SpecrunnerError:
        return False
    return True


def filled_for(disk: Path, passed: timedelta) -> bool:
    """Keep it full; whether it has been for long enough."""
    fill(disk)
    return passed > WITHOUT_ROOM * MINUTE


if __name__ == "__main__":
    json.dump(scene(mounted(Path(sys.argv[1]).resolve(), SIZE)), sys.stdout)
