"""`quorum import`: rows into a campaign's Pass project."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from label_studio_quorum.commands.setup import ml_connection
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
    running_ml,
    told,
)

if TYPE_CHECKING:
    from label_studio_quorum.adapters.ml_backend import MLBackendClient
    from label_studio_quorum.campaign.importing import ImportReport
    from label_studio_quorum.intake import RowFault
    from label_studio_quorum.port import MLConnection

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
        bool,
        typer.Option(
            "--skip-bad", help="Import the good rows; write the others, with their faults, to a file to mend."
        ),
    ] = False,
    rejects: Annotated[
        Path | None,
        typer.Option(help="That file without its ending, which is .jsonl, or .csv for a table; else FILE.rejects."),
    ] = None,
    whole: Annotated[
        bool,
        typer.Option(
            "--whole/--rows-only",
            help="Look at the file as a whole too: duplicates, leaks, language, lengths, personal data. All warnings.",
        ),
    ] = True,
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
        options = _Options(
            mapping=mapping,
            form=form,
            encoding=encoding,
            sheet=sheet,
            offsets=offsets,
            ml_url=ml_url if prelabel else "",
            skip_bad=skip_bad,
            rejects=rejects or file.with_name(file.name + ".rejects"),
            whole=whole,
            dry_run=dry_run,
            update=update,
        )
        faulty, warnings, report = _import(opened, file, options)
    if as_json:
        done = report.to_json() if report else {"imported": 0}
        print_json({"campaign": opened.campaign.name, **done, "faults": faulty, "warnings": warnings})
    elif report is not None:
        verb = "would import" if dry_run else "imported"
        typer.echo(
            f"{verb} {report.imported:,} rows ({report.prelabelled:,} pre-labelled, {report.withheld:,} withheld, "
            f"{report.bare:,} without pre-annotation); {report.known:,} were there; import id {report.import_id}"
        )
    raise typer.Exit(1 if faulty else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    mapping: list[str] | None
    form: str | None
    encoding: str | None
    sheet: str | None
    offsets: str
    ml_url: str | None
    skip_bad: bool
    rejects: Path
    whole: bool
    dry_run: bool
    update: bool


def _import(opened: Opened, file: Path, given: _Options) -> tuple[int, int, ImportReport | None]:
    """(faults that keep rows out, warnings, what was imported)."""
    from label_studio_quorum.campaign.importing import CheckedFile, import_rows, known_rows, withdraw_changed
    from label_studio_quorum.intake import Options, load_mapping
    from label_studio_quorum.intake.background_check import Beside

    try:
        columns = load_mapping(given.mapping)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--map") from None
    campaign = opened.campaign
    with Beside() if given.whole else nullcontext() as beside, ExitStack() as stack:
        known = known_rows(opened.port, campaign)
        options = Options(
            format=given.form,
            encoding=given.encoding,
            sheet=given.sheet,
            offsets=given.offsets,
            known={} if given.update else known,
        )
        checked = CheckedFile.read(
            file, interface=campaign.interface, policy=campaign.policy, mapping=columns, options=options
        )
        stack.enter_context(checked)
        _tell(checked.faults)
        bad = len(checked.errors)
        warnings = len(checked.faults) - bad
        if bad and not given.skip_bad:
            typer.echo(f"{file}: {bad} faults, nothing was imported; mend them, or give --skip-bad", err=True)
            return bad, warnings, None
        if checked.unread:
            typer.echo(f"{file}: not read to its end (see above), so nothing was imported; mend that first", err=True)
            return bad, warnings, None
        if bad and not given.dry_run:
            for made in checked.rejects.write(given.rejects):
                typer.echo(f"{made}: the rows left out, each with its faults; mend and import it", err=True)
        if beside is not None:
            beside.look(checked.held.path(), str(file), campaign.interface)
        if given.update:
            changed = withdraw_changed(opened.port, campaign, checked, known, dry_run=given.dry_run)
            known = {row_id: held for row_id, held in known.items() if row_id not in changed}
        with _predictor(opened, given.ml_url) as predictor, progress_bar("importing", checked.rows) as (bar, row_bar):
            report = import_rows(
                opened.port,
                campaign,
                checked,
                predictor=predictor,
                known=known,
                dry_run=given.dry_run,
                progress=lambda done: bar.update(row_bar, completed=done),
            )
        found = beside.found() if beside is not None else []
        _tell(found)
    return bad, warnings + len(found), report


def _tell(faults: Iterable[RowFault]) -> None:
    for fault in faults:
        typer.echo(str(fault), err=True)


def _predictor(opened: Opened, ml_url: str | None) -> AbstractContextManager[MLBackendClient | None]:
    """The ML backend to ask, if there is one."""
    connection = ml_connection(ml_url) if ml_url else None if ml_url == "" else _connected(opened)
    if connection is None:
        return nullcontext()
    from label_studio_quorum.adapters.ml_backend import MLBackendClient
    from review_rules import Stage

    return MLBackendClient(connection, opened.campaign.interface, opened.campaign.project(Stage.PASS))


def _connected(opened: Opened) -> MLConnection | None:
    """The ML backend that is connected, else the one named or running beside; the server does not give its password."""
    from review_rules import Stage

    held = opened.port.ml_backends(opened.campaign.project(Stage.PASS))
    url = held[0].url if held else os.environ.get("QUORUM_ML_URL")
    return ml_connection(url) if url else running_ml(beside=opened.port.url)


def _undo(opened: Opened, import_id: str, as_json: bool) -> None:
    from label_studio_quorum.campaign.importing import undo_import

    gone = undo_import(opened.port, opened.campaign, import_id)
    if as_json:
        print_json({"campaign": opened.campaign.name, "import_id": import_id, "removed": gone})
    else:
        typer.echo(f"removed {gone:,} rows of import {import_id}")
