"""`python -m benchmarks [OPTIONS]`: run every benchmark, one after the other, each with these options.

The common options are `--quick`, `--data FOLDER`, `--seed N` and `--json`; `python -m benchmarks.NAME --help` says what
a benchmark has besides. What cannot be measured here is said in a sentence; what fails is named at the end.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HELPERS = {"__main__", "data", "harness", "servers"}
SCRIPTS = tuple(sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in HELPERS))


def main() -> int:
    """Run them; the number of those that failed."""
    options = sys.argv[1:]
    if {"-h", "--help"} & set(options):
        print(__doc__, "\n".join(f"    {name}" for name in SCRIPTS), sep="\n")
        return 0
    failed = []
    for name in SCRIPTS:
        print(f"== {name}", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}", *options]
        if subprocess.run(command, cwd=Path(__file__).parent.parent, check=False).returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
