"""Django with the plugin in this process, on a copy of a migrated SQLite file.

Django's settings are of the whole process, and test modules here import models when they are collected, so Django is
set up before that: when this file is read. Nothing else of the process may notice: the environment, the time zone, the
search path and the logging are as before afterwards. The database comes with the first test that asks for it.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from label_studio_quorum.servers.label_studio import WITH_PLUGIN
from tests.support.servers import OWNER, migrated_database

_DATA_DIR = tempfile.TemporaryDirectory(prefix="quorum-unit-")


def _set_up_django() -> None:
    environment, path, switch = dict(os.environ), list(sys.path), sys.getswitchinterval()
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    os.environ.update(
        DJANGO_SETTINGS_MODULE=WITH_PLUGIN,
        DJANGO_DB="sqlite",
        LABEL_STUDIO_BASE_DATA_DIR=_DATA_DIR.name,
        SECRET_KEY="of-unit-tests",
        LOG_LEVEL="ERROR",
        SENTRY_DSN="",
        FRONTEND_SENTRY_DSN="",
        QUORUM_INSIDE_HOSTS="127.0.0.1",  # a webhook of a test may name this machine
    )
    os.environ.pop("REDIS_HOST", None)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import django
            from django.conf import settings

            settings.LOGGING_CONFIG = None
            # Passwords of tests are no secrets, and hashing one slowly takes longer than a test.
            settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
            django.setup()
            # Label Studio's views are imported with the address table, and warn as its models do.
            from django.urls import get_resolver

            assert get_resolver().url_patterns
    finally:
        os.environ.clear()
        os.environ.update(environment)
        time.tzset()
        sys.setswitchinterval(switch)
        # Label Studio has the root logger write every line of debugging.
        root.setLevel(level)
        root.handlers[:] = handlers
        # Label Studio's folder has a package `tests` of its own: it must not come before ours.
        added = [entry for entry in sys.path if entry not in path]
        sys.path[:] = [*path, *added]


_set_up_django()

from tests.unit.ls_plugin import snapshots  # noqa: E402  (it reads Django's settings)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Label Studio's code warns of what its libraries deprecate, and that is no fault of ours."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore::DeprecationWarning"))


@pytest.fixture(scope="session")
def database() -> Iterator[Path]:
    """The data folder with its migrated database, in which only the owner has an account."""
    from django.db import connections

    # A browser that other tests of this process opened keeps an event loop running, beside which Django refuses its
    # database calls. Nothing here is asynchronous, and servers that tests start do not inherit the variable.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    connections.close_all()  # Label Studio looks into the database while it starts: that one was empty
    shutil.copytree(migrated_database(WITH_PLUGIN), _DATA_DIR.name, dirs_exist_ok=True)
    assert OWNER.email
    snapshots.keep_beginning()
    yield Path(_DATA_DIR.name)
    snapshots.forget_all()
    connections.close_all()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]
    _DATA_DIR.cleanup()


@pytest.fixture(autouse=True)
def _with_database(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test here has the database, and nothing works in it beside the test."""
    from ls_plugin.queue import embedding
    from ls_plugin.store import row_vectors

    monkeypatch.setattr(embedding, "catch_up_soon", lambda campaign_id: None)
    row_vectors.forget_indexes()  # the numbers of campaigns begin anew with each snapshot
    snapshots.begin_test()
