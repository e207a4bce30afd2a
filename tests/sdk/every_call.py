"""Every call of the platform's client, in one session; run by the interpreter that has the client.

    python -m tests.sdk.every_call URL FOLDER

The folder holds what `test_contract` puts there. Each call is told as a line of JSON: its name, and what was wrong with
it. Those that a client does not have are not called.
"""

from __future__ import annotations

import json
import sys
import traceback

from tests.sdk import calls_places, calls_models, calls_pipelines, calls_python, calls_work, calls_people  # isort: skip
from tests.sdk.drive import STEPS

# In this order: what one leaves, the next takes.
_ = (calls_places, calls_models, calls_pipelines, calls_python, calls_work, calls_people)


def main() -> None:
    for name, step in STEPS:
        try:
            step()
            told = ""
        except Exception:
            told = traceback.format_exc()
        sys.stdout.write(json.dumps({"call": name, "wrong": told}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
