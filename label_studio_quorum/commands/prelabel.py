"""`quorum prelabel`: pre-label a file of rows, or the open tasks of a campaign, with the ML backend's models."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from label_studio_quorum.commands.json_lines import dumps, loads
from label_studio_quorum.commands.models import ModelsOption, models_file, served_model
from label_studio_quorum.commands.reading_options import (
    DelimiterOption,
    EncodingOption,
    FormatOption,
    MapOption,
    MaxCharsOption,
    OffsetsOption,
    QuotesOption,
    SheetOption,
    read_mapping,
    read_options,
)
from label_studio_quorum.commands.shared_options import (
    DryRunOption,
    JsonOption,
    KeyFileOption,
    KeyOption,
    NameOption,
    Opened,
    PolicyOption,
    TeamOption,
    UrlOption,
    open_one,
    print_json,
    progress_bar,
)

if TYPE_CHECKING:
    from label_studio_quorum.campaign.projects import Campaign
    from label_studio_quorum.intake import Options
    from ml_backend.local import LocalModel

app = typer.Typer(add_completion=False)


class Engine(StrEnum):
    """Where the models run."""

    local = "local"
    ray = "ray"


@app.command()
def command(
    rows: Annotated[
        Path | None, typer.Argument(exists=True, help="Rows in any format that `quorum import` reads.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="File to write (JSON Lines); goes on where it stopped.")
    ] = None,
    task: Annotated[str, typer.Option("--task", help="Label type, or a folder with a label.xml.")] = "response_review",
    models: ModelsOption = None,
    model: Annotated[
        str | None,
        typer.Option("--model", help="A model of it; else the one that the ML backend answers with."),
    ] = None,
    engine: Annotated[Engine, typer.Option("--engine", help="local, or ray for a cluster.")] = Engine.local,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Actors of the engine ray.")] = 2,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Rows at a time.")] = 256,
    with_rows: Annotated[
        bool, typer.Option("--with-rows", help="Write the rows' own columns too, ready for import.")
    ] = False,
    mapping: MapOption = None,
    form: FormatOption = None,
    encoding: EncodingOption = None,
    delimiter: DelimiterOption = None,
    quotes: QuotesOption = None,
    sheet: SheetOption = None,
    offsets: OffsetsOption = "code-points",
    max_chars: MaxCharsOption = None,
    name: NameOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    api_key_file: KeyFileOption = None,
    policy: PolicyOption = None,
    team: TeamOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Pre-label ROWS into --out, or, without ROWS, a campaign's tasks that this model has not done yet."""
    file = models_file(models)
    model = model or served_model(file)
    run = _Run(models=file, model=model, engine=engine, workers=workers, batch=batch, dry_run=dry_run)
    if rows is None:
        done = _project(open_one(url, api_key, api_key_file, name, policy, team, write=not dry_run), run)
    elif out is None:
        raise typer.BadParameter("which file to write? give --out", param_hint="--out")
    else:
        options = read_options(form, encoding, delimiter, quotes, sheet, offsets, max_chars)
        source = _Source(path=rows, mapping=read_mapping(mapping), options=options)
        done = _file(source, out, task, run, with_rows=with_rows)
    if as_json:
        print_json(done)
    else:
        typer.echo(
            f"{done['written']:,} pre-labelled, {done['before']:,} were already, {done['empty']:,} without an answer "
            f"({done['model_version']})"
        )
        for say, count in sorted(done["checks_violated"].items()):
            answers = "answer violates" if count == 1 else "answers violate"
            typer.echo(f"finding: {count:,} {answers} a check: {say}", err=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """Which model labels, and how."""

    models: Path
    model: str | None
    engine: Engine
    workers: int
    batch: int
    dry_run: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """The file of rows, and how it is read."""

    path: Path
    mapping: dict[str, str]
    options: Options


def _file(rows: _Source, out: Path, task: str, run: _Run, *, with_rows: bool) -> dict[str, Any]:
    from ls_config.interface import load
    from ml_backend.bulk import run_local, run_ray
    from ml_backend.local import LocalModel
    from review_rules.files.checks import load_checks

    interface = load(task)
    checks = load_checks(interface)
    columns: dict[str, dict[str, Any]] = {}
    with LocalModel(run.models, run.model) as local:
        before = _resume(out, local.version)
        pending = islice(_rows(rows, columns if with_rows else None), before, None)
        report: dict[str, Any] = {
            "model_version": local.version,
            "before": before,
            "written": 0,
            "empty": 0,
            "checks_violated": Counter[str](),
            "out": str(out),
        }
        if run.dry_run:
            return report | {"pending": sum(1 for _ in pending)}
        if run.engine is Engine.ray:
            records = run_ray(run.models, run.model, pending, interface.controls, run.batch, run.workers)
        else:
            records = run_local(local, pending, interface.controls, run.batch)
        with out.open("ab") as stream, progress_bar("pre-labelling", _count(rows.path)) as (bar, number):
            bar.update(number, completed=before)
            for labelled in records:
                stream.write(dumps(columns.pop(labelled["id"], {}) | labelled))
                report["written"] += 1
                report["empty"] += not labelled["auto_label"]
                report["checks_violated"].update(check.say for check in checks.violated(labelled["auto_label"] or {}))
                bar.advance(number)
    return report


def _count(rows: Path) -> int | None:
    """Rows of a file of lines; None for other formats, whose rows are known only when they are read."""
    # Only a file of lines can be counted without being read as rows.
    if rows.suffix not in {".jsonl", ".ndjson"}:
        return None
    with rows.open("rb") as stream:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: stream.read(1 << 20), b""))


def _rows(source: _Source, columns: dict[str, dict[str, Any]] | None) -> Iterator[Mapping[str, Any]]:
    from label_studio_quorum.intake import RowFault, read_rows

    faults = 0
    for row in read_rows(source.path, interface=None, mapping=source.mapping, options=source.options):
        if isinstance(row, RowFault):
            faults += 1
            typer.echo(str(row), err=True)
            continue
        # Kept only until the row is written.
        if columns is not None:
            columns[row.row_id] = row.columns()
        yield {"id": row.row_id, "context": row.context, "query": row.query, "response": row.response}
    if faults:
        typer.echo(f"{source.path}: {faults} faults; those rows were left out (`quorum check` says more)", err=True)


def _resume(out: Path, version: str) -> int:
    """Rows already written; a half-written last line is cut off.

    Raises:
        LoadError: another model wrote the file.
    """
    from ml_backend.errors import LoadError

    if not out.exists():
        return 0
    count = kept = 0
    with out.open("rb") as stream:
        for line in stream:
            # The run before was cut off while it wrote this line.
            if not line.endswith(b"\n"):
                break
            count += 1
            kept += len(line)
            if count == 1 and (writer := loads(line).get("model_version")) != version:
                raise LoadError(f"{out}: written by {writer}, not by {version}; give another file with --out")
    os.truncate(out, kept)
    return count


def _project(opened: Opened, run: _Run) -> dict[str, Any]:
    from ml_backend.local import LocalModel
    from review_rules import withheld
    from review_rules.values import Stage

    campaign = opened.campaign
    project, rules = campaign.project(Stage.PASS), campaign.policy
    with LocalModel(run.models, run.model) as local:
        report: dict[str, Any] = {
            "model_version": local.version,
            "before": 0,
            "written": 0,
            "empty": 0,
            "checks_violated": Counter[str](),
            "project": project,
        }
        with progress_bar("pre-labelling") as (bar, number):
            tasks = opened.port.tasks(project)
            while part := list(islice(tasks, run.batch)):
                done = [task for task in part if any(p.model_version == local.version for p in task.predictions)]
                # Rows of the share that is labelled without an auto-label get none from here either.
                pending = [task for task in part if task not in done and not withheld(task.row_id, rules)]
                report["before"] += len(done)
                dry = run.dry_run
                report["written"] += _store(opened.port, project, pending, local, campaign, report, dry_run=dry)
                bar.advance(number, len(part))
    return report


def _store(
    port: Any,
    project: int,
    tasks: list[Any],
    local: LocalModel,
    campaign: Campaign,
    report: dict[str, Any],
    *,
    dry_run: bool,
) -> int:
    """Predict these tasks and store what came out; how many predictions that were."""
    from label_studio_quorum.port import NewPrediction
    from ls_config.results import from_result

    if dry_run:
        return len(tasks)
    controls = campaign.interface.controls
    predictions = local.predict([task.data for task in tasks], controls)
    some = [
        (task.id, NewPrediction(model_version=local.version, result=prediction.result, score=prediction.score))
        for task, prediction in zip(tasks, predictions, strict=True)
        if prediction.result
    ]
    report["empty"] += len(tasks) - len(some)
    for task, prediction in zip(tasks, predictions, strict=True):
        values = from_result(prediction.result, controls, task.data).values
        report["checks_violated"].update(check.say for check in campaign.checks.violated(values))
    if some:
        port.add_predictions(project, some)
    return len(some)
