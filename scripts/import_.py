"""`quorum import`: rows into a campaign's Pass project."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scripts.campaigns import (
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
    running_ml,
    told,
)
from scripts.setup import ml_connection

if TYPE_CHECKING:
    from workflow.importing import CheckedFile, ImportReport
    from workflow.setup import MLConnection

app = typer.Typer(add_completion=False)


@app.command()
def command(
    file: Annotated[
        Path | None, typer.Argument(exists=True, help="Rows: JSONL, JSON, CSV, TSV, XLSX, Parquet, …")
    ] = None,
    name: NameOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    api_key_file: KeyFileOption = None,
    policy: PolicyOption = None,
    team: TeamOption = None,
    mapping: Annotated[
        list[str] | None, typer.Option("--map", help="FIELD=COLUMN, such as response=answer; may be repeated.")
    ] = None,
    form: Annotated[
        str | None, typer.Option("--format", help="The file's format, where its name does not tell.")
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="The text's encoding, where it is not UTF-8.")] = None,
    sheet: Annotated[str | None, typer.Option(help="The sheet of a workbook; all with the columns otherwise.")] = None,
    offsets: Annotated[
        str, typer.Option(help="What spans of the file count; 'detect' converts where it can tell.")
    ] = "code-points",
    ml_url: Annotated[
        str | None,
        typer.Option(help="ML backend to ask for rows without an auto-label; else the one that is connected."),
    ] = None,
    prelabel: Annotated[bool, typer.Option(help="Ask an ML backend for rows without an auto-label.")] = True,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Import the good rows, write the others' faults to a file.")
    ] = False,
    rejects: Annotated[Path | None, typer.Option(help="The file for --skip-bad; FILE.rejects.jsonl otherwise.")] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Replace rows whose content has changed, if no work on them began.")
    ] = False,
    undo: Annotated[str | None, typer.Option(help="Take this import's rows back, if no work on them began.")] = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Import rows, each once: an import that was cut off is finished by running it again.

    A fault anywhere and nothing is imported, unless --skip-bad. Exit code 1 if there are faults.
    """
    with told():
        opened = open_one(url, api_key, api_key_file, name, policy, team)
        if undo is not None:
            _undo(opened, undo, as_json)
            return
        if file is None:
            raise typer.BadParameter("name a file of rows", param_hint="FILE")
        faulty, report = _import(
            opened,
            file,
            mapping,
            form,
            encoding,
            sheet,
            offsets,
            ml_url if prelabel else "",
            skip_bad,
            rejects,
            dry_run,
            update,
        )
    if as_json:
        print_json(
            {"campaign": opened.campaign.name, **(report.to_json() if report else {"imported": 0}), "faults": faulty}
        )
    elif report is not None:
        verb = "would import" if dry_run else "imported"
        typer.echo(
            f"{verb} {report.imported:,} rows ({report.prelabelled:,} pre-labelled, {report.withheld:,} withheld, "
            f"{report.bare:,} without pre-annotation); {report.known:,} were there; import id {report.import_id}"
        )
    raise typer.Exit(1 if faulty else 0)


def _import(
    opened: Opened,
    file: Path,
    mapping: list[str] | None,
    form: str | None,
    encoding: str | None,
    sheet: str | None,
    offsets: str,
    ml_url: str | None,
    skip_bad: bool,
    rejects: Path | None,
    dry_run: bool,
    update: bool,
) -> tuple[int, ImportReport | None]:
    """(faults that keep rows out, what was imported)."""
    from workflow.importing import CheckedFile, import_rows, known_rows, withdraw_changed
    from workflow.rows import Options, load_mapping

    try:
        columns = load_mapping(mapping)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--map") from None
    known = known_rows(opened.port, opened.campaign)
    held_against = {} if update else known
    options = replace(Options(), format=form, encoding=encoding, sheet=sheet, offsets=offsets, known=held_against)
    campaign = opened.campaign
    with CheckedFile.read(
        file, interface=campaign.interface, policy=campaign.policy, mapping=columns, options=options
    ) as checked, ExitStack() as stack:  # fmt: skip
        for fault in checked.faults:
            typer.echo(str(fault), err=True)
        bad = len(checked.errors)
        if bad and not skip_bad:
            typer.echo(f"{file}: {bad} faults, nothing was imported; mend them, or give --skip-bad", err=True)
            return bad, None
        if bad and not dry_run:
            _write_rejects(checked, file, rejects)
        if update:
            changed = withdraw_changed(opened.port, campaign, checked, known, dry_run=dry_run)
            known = {row_id: held for row_id, held in known.items() if row_id not in changed}
        predictor = None
        connection = ml_connection(ml_url) if ml_url else None if ml_url == "" else _connected(opened)
        if connection is not None:
            from review_rules import Stage
            from workflow.prelabels import MLBackendClient

            client = MLBackendClient(connection, campaign.interface, campaign.project(Stage.PASS))
            predictor = stack.enter_context(client)
        bar, row_bar = stack.enter_context(progress_bar("importing", checked.rows))
        report = import_rows(
            opened.port,
            campaign,
            checked,
            predictor=predictor,
            known=known,
            dry_run=dry_run,
            progress=lambda done: bar.update(row_bar, completed=done),
        )
    return bad, report


def _connected(opened: Opened) -> MLConnection | None:
    """The ML backend that is connected, else the one named or running beside; the server does not give its password."""
    from review_rules import Stage

    held = opened.port.ml_backends(opened.campaign.project(Stage.PASS))
    url = held[0].url if held else os.environ.get("QUORUM_ML_URL")
    return ml_connection(url) if url else running_ml(beside=opened.port.url)


def _write_rejects(checked: CheckedFile, file: Path, rejects: Path | None) -> None:
    place = rejects or file.with_name(file.name + ".rejects.jsonl")
    lines = [json.dumps(fault.to_json(), ensure_ascii=False, default=str) for fault in checked.errors]
    place.write_text("\n".join(lines) + "\n", encoding="utf-8")
    typer.echo(f"{place}: the faults of the rows left out", err=True)


def _undo(opened: Opened, import_id: str, as_json: bool) -> None:
    from workflow.importing import undo_import

    gone = undo_import(opened.port, opened.campaign, import_id)
    if as_json:
        print_json({"campaign": opened.campaign.name, "import_id": import_id, "removed": gone})
    else:
        typer.echo(f"removed {gone:,} rows of import {import_id}")
