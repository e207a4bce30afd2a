"""What one GraphQL request works with: who asks, and how much it may still ask for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from specrunner.core.errors import BadInput, NotFound
from specrunner.engine.engine import Engine
from specrunner.engine.records import Workspace
from specrunner.server.auth import Caller

MOST_OBJECTS: Final = 20_000


@dataclass(slots=True)
class Scene:
    """The engine as one caller sees it, who is at that address."""

    engine: Engine
    caller: Caller
    address: str = ""
    left: int = field(default=MOST_OBJECTS)

    def spend(self) -> None:
        """One more object is answered. Raises BadInput once there are too many."""
        self.left -= 1
        if self.left < 0:
            raise BadInput(f"The answer would have more than {MOST_OBJECTS:,} objects.", remedy="Ask for less at once.")

    def workspace(self, workspace_id: int) -> Workspace:
        """A workspace that the caller may use. Raises NotFound."""
        return self.caller.workspace(workspace_id)

    def check(self, workspace_id: int) -> None:
        """Raises NotFound for what is in a workspace that the caller may not use."""
        if not self.caller.may_use(workspace_id):
            raise NotFound("There is no such object.")
