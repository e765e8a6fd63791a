"""The first requests to a new worker find everything loaded: nothing is half imported under any of them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from label_studio_quorum.servers import label_studio
from tests.support.servers import ROOT, migrated_database

pytestmark = pytest.mark.server

FIRST_REQUESTS = """
import json, sys
from label_studio_quorum.servers import wsgi
from django.test import Client
before = set(sys.modules)
client = Client(raise_request_exception=False)
paths = ("/health/", "/user/login/", "/api/version", "/api/projects/", "/")
statuses = [client.get(path).status_code for path in paths]
print(json.dumps([statuses, sorted(set(sys.modules) - before)]))
"""


@pytest.mark.parametrize("settings", [label_studio.STOCK, label_studio.WITH_PLUGIN])
def test_a_first_request_imports_nothing(tmp_path: Path, settings: str) -> None:
    """With and without the plugin, by the module that gunicorn is given."""
    data = tmp_path / "data"
    shutil.copytree(migrated_database(settings), data)
    served = label_studio.server(data, 1, tmp_path / "log", settings=settings)
    assert served.command[-1] == "label_studio_quorum.servers.wsgi:application"
    path = {"PYTHONPATH": f"{ROOT}:{label_studio.package_dir()}"}
    done = subprocess.run(
        [sys.executable, "-c", FIRST_REQUESTS],
        env=label_studio.environment(data, settings, path),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    statuses, modules = json.loads(done.stdout.splitlines()[-1])
    assert max(statuses) < 500
    assert modules == []
