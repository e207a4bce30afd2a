"""What runs in a model's own process. Standard library, and pyarrow, pandas and numpy of the model's environment.

It knows nothing of specrunner, which is not installed there: these files are laid beside the model.
"""
