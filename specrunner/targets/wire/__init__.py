"""The `Target` port on the wire: what travels between `targets/server` and `server/api`, and how it is written as JSON.

Both sides, and the OpenAPI document, are made from the types in `records`: there is no second description to fall
behind. Reading and checking JSON against them is msgspec's work.
"""
