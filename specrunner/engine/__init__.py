"""The embedded platform: what the specs' objects become, on one machine, with nothing installed.

`engine.Engine` is the facade and the only thing known outside; it opens a state folder and offers one service
per noun. `store/` keeps rows (SQLite in WAL mode), `artifacts` keeps bytes by their sha256, `vault` encrypts
connection details. `packaging/` turns an uploaded zip into an environment that can run it; `tasks/` starts,
watches and kills runs, each under a supervisor process of its own; `serving/` loads models, infers and keeps
the inference log. The engine knows nothing of YAML, plans, git or HTTP.

This file imports nothing: the supervisor of a run imports it on its way up.
"""
