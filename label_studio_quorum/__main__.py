"""`python -m label_studio_quorum` is the `quorum` command."""

import sys

from label_studio_quorum.commands.cli import main

if __name__ == "__main__":
    sys.exit(main())
