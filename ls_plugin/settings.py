"""Label Studio's settings with Quorum's plugin added: the one setting that installs it.

Start any Label Studio process (server, RQ worker, ``manage.py``) with ``DJANGO_SETTINGS_MODULE=ls_plugin.settings``.
Unset it and the same database serves a plain Label Studio again.
"""

# Label Studio's settings can be imported only after its folder is on the path, in the order below.
# ruff: noqa: E402

from __future__ import annotations

import os
import sys
from datetime import timedelta
from importlib.util import find_spec

# Before Label Studio's settings are read: while they are, they ask PyPI for the newest version.
os.environ.update(LATEST_VERSION_CHECK="False", COLLECT_ANALYTICS="False")

# Label Studio's apps are top-level modules of its own folder; its own entry points put that folder in front, but
# gunicorn, the RQ worker and a plain ``manage.py`` elsewhere do not.
_HOME = os.path.dirname(str(find_spec("label_studio").origin))  # type: ignore[union-attr]
if _HOME not in sys.path:
    sys.path.insert(0, _HOME)

from core.settings.base import *  # noqa: F403
from core.settings.base import (
    AUTH_PASSWORD_VALIDATORS,
    DATABASES_ALL,
    DJANGO_DB_POSTGRESQL,
    DJANGO_DB_SQLITE,
    HOSTNAME,
    INSTALLED_APPS,
    MIDDLEWARE,
    REST_FRAMEWORK,
    SILENCED_SYSTEM_CHECKS,
)
from label_studio.core.utils.params import get_bool_env, get_env

from ls_plugin.version import refuse_untested

refuse_untested(os.environ)

# Empty before the next import: its Sentry set-up reads the half-built settings module and fails otherwise.
SENTRY_DSN = FRONTEND_SENTRY_DSN = ""
# SQLite takes its write lock when a transaction begins, not in its middle: two people who submit at once wait for each
# other instead of failing with "database is locked". Readers do not wait for writers in WAL mode.
DATABASES_ALL[DJANGO_DB_SQLITE]["OPTIONS"] = {
    "timeout": 30,
    "transaction_mode": "IMMEDIATE",
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}
# A thread keeps its connection for a while: on SQLite each one has to be given the plugin's triggers.
for _database in (DATABASES_ALL[DJANGO_DB_SQLITE], DATABASES_ALL[DJANGO_DB_POSTGRESQL]):
    _database["CONN_MAX_AGE"] = 60
# A connection that a restart of PostgreSQL broke while nobody used it is made anew instead of failing a request.
DATABASES_ALL[DJANGO_DB_POSTGRESQL]["CONN_HEALTH_CHECKS"] = True
# What tells the triggers in PostgreSQL that this connection belongs to a server with the plugin.
DATABASES_ALL[DJANGO_DB_POSTGRESQL]["OPTIONS"] = {"options": "-c quorum.on=on"}
# In place and before the next import, which makes REST framework read it for good.
REST_FRAMEWORK["EXCEPTION_HANDLER"] = "ls_plugin.store.refusals.exception_handler"

from core.settings.label_studio import *  # noqa: F403

SENTRY_DSN = FRONTEND_SENTRY_DSN = ""

# Hosts inside the network that a manager may name as an ML backend or a webhook: "ml:9090,hooks.example:8443".
QUORUM_INSIDE_HOSTS = os.environ.get("QUORUM_INSIDE_HOSTS", "")

# Nobody joins without the invite link, and no other site's script may call, unless the environment says so.
DISABLE_SIGNUP_WITHOUT_LINK = get_bool_env("DISABLE_SIGNUP_WITHOUT_LINK", True)
CORS_ALLOW_ALL_ORIGINS = get_bool_env("CORS_ALLOW_ALL_ORIGINS", False)

if get_env("REDIS_HOST"):
    # Label Studio's own job queue, on the Redis that is named; without one the jobs run inline.
    REDIS_ENABLED = True
    RQ_QUEUES = {
        name: {
            "HOST": get_env("REDIS_HOST"),
            "PORT": int(get_env("REDIS_PORT", "6379")),
            "DB": int(get_env("REDIS_DB", "0")),
            "PASSWORD": get_env("REDIS_PASSWORD") or None,
            "DEFAULT_TIMEOUT": 180,
        }
        for name in ("critical", "high", "default", "low")
    }
    RQ = {"WORKER_CLASS": "ls_plugin.queue.worker.RowWorker"}

# Five wrong passwords for an address from one place, and a quarter of an hour's rest. By the pair: nobody can lock
# somebody else out from afar, and nobody guesses on.
USER_LOGIN_FORM = "ls_plugin.access.sign_in.LoginForm"
AXES_USERNAME_FORM_FIELD = "email"
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_CLIENT_IP_CALLABLE = "ls_plugin.access.sign_in.remote_address"
AXES_RESET_ON_SUCCESS = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
# Label Studio's form asks it, not Django's list of ways to sign in; nobody's successful sign-ins are kept.
AXES_DISABLE_ACCESS_LOG = True
SILENCED_SYSTEM_CHECKS = [*SILENCED_SYSTEM_CHECKS, "axes.W001", "axes.W002", "axes.W003"]

# Beside Label Studio's own rules for passwords: none of those that everybody tries first, and no mere number.
AUTH_PASSWORD_VALIDATORS = [
    *AUTH_PASSWORD_VALIDATORS,
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

# A session's cookie is sent over TLS alone where the server's own address says https.
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = str(HOSTNAME or "").startswith("https://")

INSTALLED_APPS = [*INSTALLED_APPS, "axes", "ls_plugin"]
MIDDLEWARE = [
    "ls_plugin.access.database_away.DatabaseAwayMiddleware",
    "ls_plugin.access.request_screening.ScreeningMiddleware",
    *MIDDLEWARE,
    "ls_plugin.access.middleware.GateMiddleware",
]
ROOT_URLCONF = "ls_plugin.urls"
