"""The `wallaroo` target: specs applied to a platform that speaks the MLOps API, through its public routes alone.

`http` sends, `looking` reads what is live by list calls, `memory` keeps what the platform has no place for (whose an
object is, what was applied, which order was carried out), `writing` and `running` do the work, `capabilities` says what
the platform can't express, and `target` puts it together.
"""

from specrunner.targets.wallaroo.target import WallarooTarget

__all__ = ["WallarooTarget"]
