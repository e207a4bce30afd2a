"""The MLOps API: the routes that the platform's public client sends, with exactly the answers it parses.

One module per noun; each has a `ROUTES` list of functions over `Call`.
"""
