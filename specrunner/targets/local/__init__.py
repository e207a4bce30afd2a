"""The `local` target: the engine embedded in this process, on the state folder beside the specs.

`target` is the adapter; `reading` shows the engine's rows in the shape of specs, `writing` makes them as
declared, one function per kind.
"""
