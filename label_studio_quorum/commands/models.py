"""`quorum models`: list, check, compare, train, activate and roll back what pre-labels."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from label_studio_quorum.campaign.local_memory import data_dir
from label_studio_quorum.commands.shared_options import JsonOption, print_json, running_ml

if TYPE_CHECKING:
    from ml_backend.comparing import Comparison

app = typer.Typer(add_completion=False, no_args_is_help=True)

ModelsOption = Annotated[
    Path | None,
    typer.Option(
        "--models",
        envvar="QUORUM_ML_MODELS",
        exists=True,
        dir_okay=False,
        help="Models file; else the one that comes with Quorum.",
    ),
]
ServerOption = Annotated[
    str | None,
    typer.Option("--ml-url", envvar="QUORUM_ML_URL", help="A running ML backend; else the one that `quorum up` runs."),
]
TaskOption = Annotated[str, typer.Option("--task", help="Label type, or a folder with a label.xml.")]
GoldOption = Annotated[
    Path, typer.Option("--gold", exists=True, dir_okay=False, help="Adjudicated rows: `quorum export` as JSON Lines.")
]


def models_file(file: Path | None) -> Path:
    """The models file: as named, else the one that comes with Quorum."""
    from ml_backend.config import DEFAULT_MODELS

    return file or DEFAULT_MODELS


def served_model(models: Path) -> str | None:
    """The model of this file that the ML backend of the data folder answers with; None where none was activated.

    What differs from what the models file itself says is told on stderr.
    """
    from ml_backend.active import read_activation
    from ml_backend.config import read_models

    try:
        activation = read_activation(data_dir() / "ml")
    except ValueError as error:
        typer.echo(f"note: {error}; the models file's own active model is used", err=True)
        return None
    if activation is None:
        return None
    config = read_models(models)
    # The server may have been started with another models file.
    if activation.active not in config.models:
        typer.echo(
            f"note: the ML backend answers with {activation.active!r}, which {models} lacks; "
            f"{config.active!r} is used, the active one of that file",
            err=True,
        )
        return None
    if activation.active != config.active:
        typer.echo(f"note: the ML backend answers with {activation.active!r}, so that is used here too", err=True)
    return activation.active


class Server:
    """A running ML backend, asked over HTTP with the credentials of the environment, else those of `quorum up`."""

    def __init__(self, url: str | None) -> None:
        self._up = running_ml()
        running = self._up.url if self._up else f"http://127.0.0.1:{os.environ.get('QUORUM_ML_PORT') or 9090}"
        self.url = (url or running).rstrip("/")

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The server's JSON answer; a refusal as its own sentence."""
        import httpx

        from ml_backend.errors import ApiError

        try:
            answer = httpx.request(
                method, self.url + path, json=body, headers=self._headers(), timeout=600, trust_env=False
            )
        except httpx.TransportError as error:
            raise ApiError(
                503,
                "no_server",
                f"no ML backend answers at {self.url} ({type(error).__name__}); start it, or give --ml-url",
            ) from error
        content = answer.json() if answer.headers.get("content-type", "").startswith("application/json") else {}
        # A refusal carries a sentence for people; the status alone is told where something else answered.
        if answer.status_code >= 400:
            refusal = content.get("error", {}) if isinstance(content, dict) else {}
            hint = "; set QUORUM_ML_TOKEN or QUORUM_ML_BASIC (or …_FILE)" if answer.status_code == 401 else ""
            raise ApiError(
                answer.status_code,
                str(refusal.get("code")),
                f"{self.url}: {refusal.get('message', answer.status_code)}{hint}",
            )
        return dict(content)

    def _headers(self) -> dict[str, str]:
        import base64

        from ml_backend.auth import from_environment

        shown = from_environment(os.environ)
        if shown.token:
            return {"Authorization": f"Bearer {shown.token}"}
        basic = shown.basic
        # The password of the data folder goes to nobody but the backend that it belongs to.
        if not basic and self._up is not None and self.url == self._up.url:
            basic = f"{self._up.user}:{self._up.password}"
        return {"Authorization": "Basic " + base64.b64encode(basic.encode()).decode()} if basic else {}


@app.command("list")
def list_(
    server: ServerOption = None,
    # No variable here: without the option it is the running server that is asked.
    models: Annotated[
        Path | None, typer.Option("--models", exists=True, dir_okay=False, help="Models file, instead of a server.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the models: of a models file where one is given, else of the running server."""
    listed = _from_file(models) if models is not None else Server(server).ask("GET", "/models")
    if as_json:
        print_json(listed)
        return
    for model in listed["models"]:
        mark = "*" if model["name"] == listed["active"] else " "
        kinds = ", ".join(f"{control}: {kind}" for control, kind in model["controls"].items())
        typer.echo(f"{mark} {model['name']}  {model['version'] or '(not loaded)'}  {kinds}")


def _from_file(path: Path) -> dict[str, Any]:
    from ml_backend.config import read_models

    config = read_models(path)
    return {
        "active": config.active,
        "models": [
            {"name": name, "version": None, "controls": {c: s.predictor for c, s in model.controls.items()}}
            for name, model in config.models.items()
        ],
    }


@app.command()
def check(
    name: Annotated[str | None, typer.Argument(help="A model of the models file; else its active one.")] = None,
    rows: Annotated[Path | None, typer.Option("--rows", exists=True, help="Rows to try it on.")] = None,
    count: Annotated[int, typer.Option("--count", min=1, help="How many of them.")] = 50,
    task: TaskOption = "response_review",
    models: ModelsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Load a candidate and try it on the interface's sample, hard texts and rows: labels, offsets, scores."""
    from dataclasses import asdict

    from ls_config.interface import load
    from ml_backend.checking import check as run
    from ml_backend.local import LocalModel

    interface = load(task)
    tried = list(islice(_rows(rows), count)) if rows is not None else []
    with LocalModel(models_file(models), name) as model:
        report = run(model, interface, tried)
    if as_json:
        print_json(asdict(report))
    else:
        typer.echo(f"{report.version}: {report.rows} rows tried")
        for control, answered in report.answered.items():
            why = f"  ({report.abstained[control]})" if control in report.abstained else ""
            typer.echo(f"  {control}: {answered} answered{why}")
    for problem in report.problems:
        typer.echo(problem, err=True)
    if report.problems:
        raise typer.Exit(1)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    from label_studio_quorum.intake import Row, read_rows

    for row in read_rows(path, interface=None):
        if isinstance(row, Row):
            yield {"id": row.row_id, "context": row.context, "query": row.query, "response": row.response}
        else:
            typer.echo(str(row), err=True)


@app.command()
def compare(
    a: Annotated[str, typer.Argument(help="A model of the models file.")],
    b: Annotated[str, typer.Argument(help="Another one.")],
    gold: GoldOption,
    task: TaskOption = "response_review",
    models: ModelsOption = None,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Write the differences as SVG, PNG or HTML.")
    ] = None,
    draws: Annotated[int, typer.Option("--draws", min=100, help="Bootstrap draws.")] = 1000,
    as_json: JsonOption = False,
) -> None:
    """Replay two models on adjudicated rows; say which is better, or that the data can't tell."""
    from ml_backend import comparing
    from review_rules import extras

    if picture is not None:
        extras.require("--picture", "altair", "vl_convert")
    comparison = _compare(a, b, gold, task, models_file(models), draws)
    if picture is not None:
        comparing.picture(comparison).save(str(picture))
    if as_json:
        print_json(comparison.to_json())
    else:
        _show(comparison)


def _compare(a: str, b: str, gold: Path, task: str, models: Path, draws: int) -> Comparison:
    from ls_config.interface import load
    from ml_backend.comparing import Gold, compare
    from ml_backend.local import LocalModel
    from ml_backend.training.data import read_gold

    controls = load(task).controls
    known = Gold(examples=read_gold(gold, controls), controls=controls)
    with LocalModel(models, a) as first:
        answers = [(first.version, first.predict(known.rows(), controls))]
        # The same loader: networks that both models use are opened once.
        with LocalModel(models, b, loader=first.loader) as second:
            answers.append((second.version, second.predict(known.rows(), controls)))
    return compare(known, *answers, draws=draws)


def _show(comparison: Comparison) -> None:
    from rich.console import Console
    from rich.table import Column, Table

    right = [Column(name, justify="right") for name in ("rows", "A", "B", "B - A", "95 %")]
    table = Table("domain", "field", "figure", *right, "better", title=f"A = {comparison.a}   B = {comparison.b}")
    for row in comparison.figures:
        low, high = row.difference.low, row.difference.high
        interval = "" if low is None or high is None else f"{low:+.3f} … {high:+.3f}"
        table.add_row(
            row.domain, row.control, row.measure, str(row.rows), f"{row.a.value:.3f}", f"{row.b.value:.3f}",
            f"{row.difference.value:+.3f}", interval, row.better or "can't tell",
        )  # fmt: skip
    Console().print(table)
    typer.echo(comparison.verdict)


@app.command()
def activate(
    name: Annotated[str, typer.Argument(help="A model of the server's models file.")],
    server: ServerOption = None,
    gold: Annotated[
        Path | None, typer.Option("--gold", exists=True, help="Only if it is shown to be better on these rows.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Also if it is not shown to be better.")] = False,
    task: TaskOption = "response_review",
    as_json: JsonOption = False,
) -> None:
    """Let a model answer from now on, in the running server, without a dropped request."""
    body: dict[str, Any] = {"name": name}
    # Without gold there is nothing to compare on, and the activation is the person's own decision.
    if gold is not None:
        body |= {"gold": _gold(gold), "label_config": _interface(task), "force": force}
    activated = Server(server).ask("POST", "/models/activate", body)
    if "comparison" in activated:
        typer.echo(activated["comparison"]["verdict"], err=True)
    _say_active(activated, as_json)


def _gold(path: Path) -> list[dict[str, Any]]:
    """What the gate needs of each adjudicated row; the passes and reviews stay here."""
    from ml_backend.training.data import read_lines

    needed = ("row_id", "state", "row", "domain", "final", "certificate")
    return [{key: record.get(key) for key in needed} for record in read_lines(path) if record.get("state") == "FINAL"]


def _interface(task: str) -> str:
    from ls_config.interface import load

    return load(task).xml


@app.command()
def rollback(server: ServerOption = None, as_json: JsonOption = False) -> None:
    """Go back to the model that was active before."""
    activated = Server(server).ask("POST", "/models/rollback", {})
    _say_active(activated, as_json)


def _say_active(activated: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(activated)
    else:
        typer.echo(f"active: {activated['model_version']}")


@app.command()
def train(
    out: Annotated[Path, typer.Option("--out", help="Folder for heads and cards.")],
    gold: Annotated[
        Path | None,
        typer.Option("--gold", exists=True, dir_okay=False, help="Adjudicated rows: `quorum export` as JSON Lines."),
    ] = None,
    examples: Annotated[
        Path | None, typer.Option("--examples", exists=True, help="Folder with rows.jsonl and truth.jsonl.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", exists=True, help="Folder of public data with label maps (see the cards).")
    ] = None,
    only: Annotated[list[str] | None, typer.Option("--only", help="Controls to train; else all with data.")] = None,
    encoder: Annotated[
        str | None, typer.Option("--encoder", help="An encoder of the models file; else its only one.")
    ] = None,
    models: ModelsOption = None,
    again: Annotated[bool, typer.Option("--again", help="Train also what was trained on this data already.")] = False,
    full: Annotated[
        bool, typer.Option("--full", help="Fine-tune the whole encoder for each control, not a head on it: slow.")
    ] = False,
) -> None:
    """Train from adjudicated gold, measured by grouped cross-validation; Ctrl-C, and it goes on next time."""
    from ml_backend.training.__main__ import run

    run(
        models_file(models), encoder, out, gold=gold, examples=examples, data=data, only=only, again=again,
        full=full, say=_say, note=lambda line: typer.echo(line, err=True),
    )  # fmt: skip


def _say(line: str) -> None:
    typer.echo(line, file=sys.stdout)
