"""The HTTP faces of the engine. Today: the routes of the MLOps API that code inside a run needs."""
