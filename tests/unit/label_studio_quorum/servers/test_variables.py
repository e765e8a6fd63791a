"""Every variable of Quorum that a server reads reaches the servers that `quorum up` starts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from label_studio_quorum.servers import label_studio, ml_backend
from tests.support.servers import ROOT

VARIABLE = re.compile(r"\bQUORUM_[A-Z_]*[A-Z]\b")
# What `quorum up` decides itself for the servers that it starts, since it has to know it.
OF_UP = {
    "QUORUM_DATA_DIR",  # the data folder
    "QUORUM_LS_PORT",
    "QUORUM_ML_PORT",
    "QUORUM_ML_BASIC",  # with the password of the data folder
    "QUORUM_ML_TOKEN",  # another door beside it
    "QUORUM_ML_BASIC_FILE",
    "QUORUM_ML_TOKEN_FILE",
}


def named_in(room: str) -> set[str]:
    """The variables that the source of a room names."""
    return {name for path in (ROOT / room).rglob("*.py") for name in VARIABLE.findall(path.read_text(encoding="utf-8"))}


def documented_for(reader: str) -> set[str]:
    """The variables that the table of the docs says this one reads."""
    page = (ROOT / "docs" / "ops.md").read_text(encoding="utf-8")
    lines = page.split("## Variables")[1].split("\n## ")[0].splitlines()
    names, readers = set[str](), ""
    for line in lines:
        if line.startswith("| `QUORUM_"):
            _, variables, stated, *_ = line.split("|")
            # A line says `the same` where it is read by whoever reads those of the line before.
            readers = readers if stated.strip() == "the same" else stated
            names |= set(VARIABLE.findall(variables)) if reader in readers else set()
    return names


def given_to(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, names: set[str]) -> dict[str, dict[str, str]]:
    """The environments of both servers where all of these variables are set, each to a path under the test's folder."""
    for name in names:
        monkeypatch.setenv(name, str(tmp_path / name))
    return {
        "ls_plugin": label_studio.environment(tmp_path, label_studio.WITH_PLUGIN),
        "ml_backend": dict(ml_backend.server(tmp_path, 1, tmp_path / "log", user="u", password="p").env),
    }


@pytest.mark.parametrize(("room", "reader"), [("ls_plugin", "the plugin"), ("ml_backend", "the ML backend")])
def test_what_a_server_reads_reaches_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, room: str, reader: str
) -> None:
    """Those that its source names and those that the docs promise, with the caller's value."""
    names = (named_in(room) | documented_for(reader)) - OF_UP
    assert names, "the source or the docs are not where this test looks"
    environment = given_to(monkeypatch, tmp_path, names)[room]
    assert {name: environment.get(name) for name in names} == {name: str(tmp_path / name) for name in names}


def test_every_variable_is_documented() -> None:
    """A variable that some room reads stands in the table of the docs."""
    rooms = ("ls_plugin", "ml_backend", "label_studio_quorum")
    page = (ROOT / "docs" / "ops.md").read_text(encoding="utf-8")
    assert {name for room in rooms for name in named_in(room)} <= set(VARIABLE.findall(page))


def test_keys_that_the_models_file_names_reach_the_ml_backend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An API key stands in a variable whose name only the models file knows; paths are the caller's."""
    (tmp_path / "models.yaml").write_text("x: {settings: {key_env: MY_KEY}}\ny: {key_env: 'OTHER'}\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name, value in {"QUORUM_ML_MODELS": "models.yaml", "MY_KEY": "k", "OTHER": "o", "THIRD": "t"}.items():
        monkeypatch.setenv(name, value)
    environment = ml_backend.server(tmp_path / "data", 1, tmp_path / "log", user="u", password="p").env
    assert (environment["MY_KEY"], environment["OTHER"], "THIRD" in environment) == ("k", "o", False)
    assert environment["QUORUM_ML_MODELS"] == str(tmp_path / "models.yaml")
