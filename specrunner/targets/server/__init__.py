"""The `server` target: a specrunner server that a team shares, over HTTP.

`target` is the adapter, `http` sends and tries again, the records that travel are in `targets/wire`. It knows nothing
of the engine: what that can't do and which files it can't use, the server says.
"""
