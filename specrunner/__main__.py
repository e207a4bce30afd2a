"""`python -m specrunner` is `specrunner`."""

from specrunner.cli.main import run

run()
