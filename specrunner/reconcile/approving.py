"""Applying a plan that was reviewed: what was approved is carried out, and nothing else."""

from __future__ import annotations

from dataclasses import replace

from specrunner.core.approval import compare
from specrunner.core.plan import Plan
from specrunner.reconcile.planner import Planned


def approved(planned: Planned, plan: Plan) -> Planned:
    """What may be carried out of an approved plan, against what is live now.

    `planned` is made now, with `core.approval.wishes_of` the approved plan. Steps that are fulfilled already and steps
    that nobody approved are left out, and notices say so. Raises StalePlan, listing every difference.
    """
    return replace(planned, plan=compare(plan, planned.plan, planned.desired).plan)
