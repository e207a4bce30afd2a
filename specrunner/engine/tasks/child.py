"""Starting the process of the user's code: forked, made ready, and held at a gate until its record is written.

Standard library only. Sources: prctl(2) for PR_SET_PDEATHSIG and PR_SET_CHILD_SUBREAPER.
"""

from __future__ import annotations

import os

from specrunner.engine.tasks.light import prctl, signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from specrunner.engine.tasks.cgroups import Group

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
# What Python or the supervisor ignores or handles; ignored ones would be inherited.
_RESET = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)


def become_subreaper() -> bool:
    """Make every orphan among our descendants our child; False on a system that has no such thing."""
    return prctl(_PR_SET_CHILD_SUBREAPER, 1)


def own_group(orders: Mapping[str, Any], whose: str) -> Group | None:
    """The control group that the orders name, made; None where there is to be none, or there can't be one."""
    if orders["group"] is None:
        return None
    from specrunner.engine.tasks.cgroups import Group

    try:
        return Group(orders["group"], orders["memory"])
    except OSError as error:
        os.write(2, f"there is no control group for this {whose}: {error}\n".encode())
        return None


class Child:
    """A process that has its place (session, folder, descriptors, limits) but has not begun its program.

    If we die it is killed; if we die before `release`, its program never begins. `status` is how it ended, as waitpid
    gave it.
    """

    status: int | None = None

    def __init__(self, orders: Mapping[str, Any], env: Mapping[str, str], output: int, group: Group | None) -> None:
        """`orders` is run.json: its `command`, `cwd` and `memory` count. `output` becomes stdout and stderr.

        It is in the `group` before it begins, where there is one and the kernel lets it in.
        """
        self._orders = orders
        self._group = group
        self._env = {os.fsencode(name): os.fsencode(value) for name, value in env.items()}
        gate, self._gate = os.pipe()
        self._trouble, trouble = os.pipe()
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            self._become(parent, output, gate, trouble)
        os.close(gate)
        os.close(trouble)

    def release(self) -> str:
        """Let it begin its program; empty, or in words why it could not."""
        os.write(self._gate, b".")
        os.close(self._gate)
        with os.fdopen(self._trouble, "rb") as trouble:
            return trouble.read().decode("utf-8", "replace")

    def count_dead(self) -> bool:
        """Take the status of every child of ours that has ended, of orphans too; whether there is none left."""
        try:
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return False
                if pid == self.pid:
                    self.status = status
        except ChildProcessError:
            return True

    def _become(self, parent: int, output: int, gate: int, trouble: int) -> None:
        """In the child: get ready, wait, begin. Never returns."""
        command = self._orders["command"]
        try:
            signal.set_wakeup_fd(-1)
            for number in _RESET:
                signal.signal(number, signal.SIG_DFL)
            os.setsid()
            prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            os.close(self._gate)
            if os.getppid() == parent and self._prepare(output) and os.read(gate, 1):
                os.execve(command[0], command, self._env)  # noqa: S606 - a list of arguments, no shell
        except OSError as error:
            os.write(trouble, f"{error.filename or command[0]}: {error.strerror}".encode())
        except (ValueError, MemoryError) as error:
            os.write(trouble, str(error).encode())
        finally:
            os._exit(127)

    def _prepare(self, output: int) -> bool:
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.chdir(self._orders["cwd"])
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        memory = self._orders["memory"]
        limited = self._in_group()
        if memory is not None and not limited:
            import resource  # a shared object that only runs with a limit pay for

            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        return True

    def _in_group(self) -> bool:
        """Enter the control group; whether that holds us to the memory. Without it the subreaper still finds us."""
        if self._group is None:
            return False
        try:
            self._group.enter()
        except OSError:
            return False
        return self._group.limits_memory
