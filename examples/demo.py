"""The demo: check the house-price example."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parent / "specs" / "house-price"


def main() -> int:
    program = Path(sys.executable).with_name("specrunner")
    print("$ specrunner validate", flush=True)
    return subprocess.run([str(program), "validate"], cwd=EXAMPLE, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
