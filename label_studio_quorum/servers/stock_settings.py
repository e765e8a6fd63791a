"""Label Studio's own settings, with a SQLite that several people can write to at once.

Nothing of Quorum is in it: a server that runs on these settings behaves as Label Studio does.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

# Label Studio's apps are top-level modules of its own folder.
_HOME = os.path.dirname(str(find_spec("label_studio").origin))  # type: ignore[union-attr]
if _HOME not in sys.path:
    sys.path.insert(0, _HOME)

from core.settings.base import *  # noqa: E402, F403
from core.settings.base import DATABASES_ALL, DJANGO_DB_SQLITE  # noqa: E402

# Empty before the next import: its Sentry set-up reads the half-built settings module and fails otherwise.
SENTRY_DSN = FRONTEND_SENTRY_DSN = ""
# A transaction that reads first and writes later fails at once with "database is locked" if somebody else wrote in
# between; one that takes the lock when it begins waits for its turn.
DATABASES_ALL[DJANGO_DB_SQLITE]["OPTIONS"] = {"timeout": 30, "transaction_mode": "IMMEDIATE"}

from core.settings.label_studio import *  # noqa: E402, F403

SENTRY_DSN = FRONTEND_SENTRY_DSN = ""
