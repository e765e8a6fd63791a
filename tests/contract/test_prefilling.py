"""With an ML backend connected, people are shown the row's own auto-label, never what the backend answers just then."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest

from ls_config.results import from_result
from tests.support.campaigns import Bench, Json
from tests.support.servers import LabelStudioServer, MlServer, ml_backend_server
from tests.unit.ml_backend import tiny

pytestmark = pytest.mark.server

POLICY = "version: 1\nexpert_domains: [technical, financial]\nprelabel: {withhold: 0.0}\n"
MODELS = """version: 1
active: first
models:
  first: {controls: {verdict: {predictor: text_classification, source: "path:first", max_tokens: 32, stride: 4}}}
  second: {controls: {verdict: {predictor: text_classification, source: "path:second", max_tokens: 32, stride: 4}}}
"""
OWN, MODEL = {"verdict": "Cannot judge"}, {"verdict": "Correct"}


@pytest.fixture(scope="module")
def model_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlServer]:
    """An ML backend of two small models that never say what the rows' own auto-labels say."""
    folder = tmp_path_factory.mktemp("models")
    for name in ("first", "second"):
        tiny.text_classifier(folder / name, ["Correct", "Incorrect"], [("good", 0), ("fine", 0)])
    (folder / "models.yaml").write_text(MODELS, encoding="utf-8")
    with ml_backend_server(folder, QUORUM_ML_MODELS=str(folder / "models.yaml")) as server:
        yield server


@pytest.fixture(params=["ls_server", "ls_server_plugin"])
def bench(
    request: pytest.FixtureRequest, model_server: MlServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bench]:
    """A campaign that withholds nothing, on either server, with the ML backend connected and three rows."""
    monkeypatch.setenv("QUORUM_ML_USER", model_server.user)
    monkeypatch.setenv("QUORUM_ML_PASSWORD", model_server.password)
    server: LabelStudioServer = request.getfixturevalue(request.param)
    made = with_people(server, model_server, tmp_path)
    made.quorum("import", str(made.rows_file([row("own-1", OWN), row("own-2", OWN), row("asked")])))
    yield made
    made.close()


def with_people(server: LabelStudioServer, model_server: MlServer, folder: Path) -> Bench:
    """A campaign with the ML backend connected and people who have accounts."""
    made = Bench(server, folder, "classification", POLICY)
    set_up(made, model_server)
    passwords = str(folder / "passwords.json")
    made.quorum("team", "apply", str(made.team_file), "--name", made.name, "--passwords", passwords)
    return made


def set_up(bench: Bench, model_server: MlServer) -> list[str]:
    """Set-up with the ML backend; what it changed."""
    files = ("--policy", str(bench.policy_file), "--team", str(bench.team_file))
    done = bench.quorum_json(
        "setup", "--name", bench.name, "--task", "classification", *files, "--ml-url", model_server.url
    )
    changes: list[str] = done["changes"]
    return changes


def row(name: str, auto_label: Mapping[str, str] | None = None) -> Json:
    """A row with this auto-label, or with none of its own."""
    texts = {"context": "", "query": "so", "response": "good and fine", "domain": "general"}
    return {"id": name, **texts, **({"auto_label": dict(auto_label)} if auto_label else {})}


def opened(bench: Bench, person: str) -> dict[str, list[tuple[str, Json]]]:
    """Row id → version and values of everything that fills the form, of each row that a person gets and answers."""
    shown: dict[str, list[tuple[str, Json]]] = {}
    while (task := bench.next_task(person, "pass")) is not None:
        controls = bench.interface.controls
        filling = [(one["model_version"], one["result"]) for one in task["predictions"]]
        shown[task["data"]["row_id"]] = [
            (version, dict(from_result(result, controls, task["data"]).values)) for version, result in filling
        ]
        bench.submit(person, task, {"verdict": "Correct"})
    return shown


def served(bench: Bench) -> str:
    """The version that the Pass project names."""
    return str(bench.owner("GET", f"/api/projects/{bench.projects['pass']}/")["model_version"])


def name_version(bench: Bench, version: str) -> None:
    """Choose what the Pass project's forms are filled from, as the settings page does."""
    bench.owner("PATCH", f"/api/projects/{bench.projects['pass']}/", json={"model_version": version})


def test_people_are_shown_the_rows_own_auto_label(bench: Bench, model_server: MlServer) -> None:
    """After set-up, a second one, a swap of the model and a later import, every row opens with its own auto-label."""
    expected = {"own-1": [("auto-label", OWN)], "own-2": [("auto-label", OWN)], "asked": [("auto-label", MODEL)]}
    connected = bench.owner("GET", "/api/ml/", params={"project": bench.projects["pass"]})
    assert [(one["title"], one["state"]) for one in connected] == [("quorum", "CO")]
    assert served(bench) == "auto-label"
    assert opened(bench, "ana") == expected
    assert set_up(bench, model_server) == []
    assert opened(bench, "ben") == expected
    swapped = httpx.post(
        f"{model_server.url}/models/activate",
        json={"name": "second"},
        auth=(model_server.user, model_server.password),
        trust_env=False,
    )
    assert swapped.status_code == 200, swapped.text
    bench.quorum("import", str(bench.rows_file([row("later", OWN)])))
    assert opened(bench, "ana") == {"later": [("auto-label", OWN)]}
    assert served(bench) == "auto-label"


@pytest.mark.parametrize("named", ["quorum", ""], ids=["the ML backend", "nothing"])
def test_a_project_that_serves_something_else_is_named_and_mended(
    bench: Bench, model_server: MlServer, named: str
) -> None:
    """Doctor and status name the project; the plugin shows the auto-label all the same; set-up or import mends it."""
    name_version(bench, named)
    diagnosis = json.loads(bench.quorum("doctor", "--json", exit_code=1).stdout)
    (fault,) = [check for check in diagnosis["checks"] if check["about"] == "pre-filling"]
    assert (fault["level"], fault["hint"]) == ("fail", "run quorum setup")
    assert f"project {bench.projects['pass']} (pass)" in fault["message"]
    assert fault["message"] in bench.quorum("status").stderr
    shown = opened(bench, "ana")
    own = [("auto-label", OWN)]
    if "plugin" in bench.server.settings:
        assert (shown["own-1"], shown["own-2"]) == (own, own)
    else:
        assert own not in shown.values()
    assert set_up(bench, model_server) == [
        f"project {bench.projects['pass']} (pass): pre-fill from 'auto-label', not {named!r}"
    ]
    assert served(bench) == "auto-label"
    assert "warning" not in bench.quorum("status").stderr
    name_version(bench, named)
    bench.quorum("import", str(bench.rows_file([row("later", OWN)])))
    assert served(bench) == "auto-label"
    assert opened(bench, "ben")["own-1"] == own


def test_opening_a_row_without_an_auto_label_asks_no_model_on_a_plugin_server(
    ls_server_plugin: LabelStudioServer, model_server: MlServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the ML backend would say just then was imported for nobody: the row stays without a pre-annotation."""
    monkeypatch.setenv("QUORUM_ML_USER", model_server.user)
    monkeypatch.setenv("QUORUM_ML_PASSWORD", model_server.password)
    bench = with_people(ls_server_plugin, model_server, tmp_path)
    bench.quorum("import", str(bench.rows_file([row("bare")])), "--no-prelabel")
    task = bench.next_task("ana", "pass")
    assert task is not None
    again = bench.people["ana"].get(f"/api/tasks/{task['id']}/")
    assert (task["predictions"], again.json()["predictions"]) == ([], [])
    (stored,) = bench.tasks("pass")
    bench.close()
    assert stored["predictions"] == []
