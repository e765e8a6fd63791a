"""`quorum import`: rows into a campaign's Pass project."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
    say_waiting,
)

if TYPE_CHECKING:
    from label_studio_quorum.adapters.ml_backend import MLBackendClient
    from label_studio_quorum.campaign.importing import CheckedFile, ImportReport
    from label_studio_quorum.intake import Options, RowFault
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
    mapping: MapOption = None,
    form: FormatOption = None,
    encoding: EncodingOption = None,
    delimiter: DelimiterOption = None,
    quotes: QuotesOption = None,
    sheet: SheetOption = None,
    offsets: OffsetsOption = "code-points",
    max_chars: MaxCharsOption = None,
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
    opened = open_one(url, api_key, api_key_file, name, policy, team, write=not dry_run)
    # An undo needs no file.
    if undo is not None:
        _undo(opened, undo, as_json)
        return
    if file is None:
        raise typer.BadParameter("name a file of rows", param_hint="FILE")
    options = _Options(
        mapping=read_mapping(mapping),
        reading=read_options(form, encoding, delimiter, quotes, sheet, offsets, max_chars),
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
        if report.unfit:
            typer.echo(_unfit(report), err=True)
        if report.taken_back:
            typer.echo(
                f"note: another import ran at the same time and had brought {report.taken_back:,} of these rows; "
                "each stands once",
                err=True,
            )
        verb = "would import" if dry_run else "imported"
        typer.echo(
            f"{verb} {report.imported:,} rows ({report.prelabelled:,} pre-labelled, {report.withheld:,} withheld, "
            f"{report.bare:,} without pre-annotation); {report.known:,} were there; import id {report.import_id}"
        )
    raise typer.Exit(1 if faulty else 0)


def _unfit(report: ImportReport) -> str:
    """How many answers of the model did not fit, and in what."""
    noun = "answer" if report.unfit == 1 else "answers"
    examples = "; ".join(report.unfit_examples) + ("; …" if report.unfit > len(report.unfit_examples) else "")
    return (
        f"warning: {report.unfit:,} {noun} of the model did not fit, and what did not was "
        f"left out: {examples}. Compare the model's labels with the interface (quorum models check)"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    mapping: dict[str, str]
    reading: Options
    ml_url: str | None
    skip_bad: bool
    rejects: Path
    whole: bool
    dry_run: bool
    update: bool


def _import(opened: Opened, file: Path, wanted: _Options) -> tuple[int, int, ImportReport | None]:
    """(faults that keep rows out, warnings, what was imported)."""
    from label_studio_quorum.campaign.campaign_lock import locked
    from label_studio_quorum.campaign.importing import CheckedFile, known_rows
    from label_studio_quorum.intake.background_check import BackgroundCheck

    campaign = opened.campaign
    with BackgroundCheck() if wanted.whole else nullcontext() as background, ExitStack() as stack:
        # Before the campaign's rows are read: what another import brings meanwhile would be brought again.
        hold = None
        if not wanted.dry_run:
            hold = stack.enter_context(locked(opened.port, campaign.name, "import", say=say_waiting))
        hashes = known_rows(opened.port, campaign)
        # With --update a changed row is no fault but what the import is for.
        options = replace(wanted.reading, known={} if wanted.update else hashes)
        checked = CheckedFile.read(
            file, interface=campaign.interface, policy=campaign.policy, mapping=wanted.mapping, options=options
        )
        stack.enter_context(checked)
        _tell(checked.faults)
        bad = len(checked.errors)
        warnings = len(checked.faults) - bad
        if not _may_go_in(file, checked, wanted):
            return bad, warnings, None
        if background is not None:
            # Before the first row goes in, so that a missing library leaves the server as it is.
            background.begin(checked.stored.path(), str(file), campaign.interface)
        report = _send(opened, checked, hashes, wanted, is_alone=lambda: hold is not None and hold.is_alone)
        late = background.finish() if background is not None else []
        _tell(late)
    return bad, warnings + len(late), report


def _may_go_in(file: Path, checked: CheckedFile, wanted: _Options) -> bool:
    """Say why nothing goes in, or write the rejected rows to their file and let the others in."""
    bad = len(checked.errors)
    if bad and not wanted.skip_bad:
        typer.echo(f"{file}: {bad} faults, nothing was imported; mend them, or give --skip-bad", err=True)
        return False
    if checked.unread:
        # Nobody could hand the rest of the file back to be mended, so not even its good rows go in.
        typer.echo(f"{file}: not read to its end (see above), so nothing was imported; mend that first", err=True)
        return False
    if bad and not wanted.dry_run:
        for made in checked.rejects.write(wanted.rejects):
            typer.echo(f"{made}: the rows left out, each with its faults; mend and import it", err=True)
    return True


def _send(
    opened: Opened,
    checked: CheckedFile,
    hashes: dict[str, str],
    wanted: _Options,
    *,
    is_alone: Callable[[], bool],
) -> ImportReport:
    """Bring the good rows in; `hashes` are those of the rows that the campaign has already."""
    from label_studio_quorum.campaign.importing import import_rows, withdraw_changed

    if wanted.update:
        changed = withdraw_changed(opened.port, opened.campaign, checked, hashes, dry_run=wanted.dry_run)
        hashes = {row_id: row_hash for row_id, row_hash in hashes.items() if row_id not in changed}
    with _predictor(opened, wanted.ml_url) as predictor, progress_bar("importing", checked.rows) as (bar, row_bar):
        return import_rows(
            opened.port,
            opened.campaign,
            checked,
            predictor=predictor,
            known=hashes,
            dry_run=wanted.dry_run,
            is_alone=is_alone,
            progress=lambda done: bar.update(row_bar, completed=done),
        )


def _tell(faults: Iterable[RowFault]) -> None:
    for fault in faults:
        typer.echo(str(fault), err=True)


def _predictor(opened: Opened, ml_url: str | None) -> AbstractContextManager[MLBackendClient | None]:
    """The ML backend to ask, if there is one."""
    # An empty address is --no-prelabel: not even the backend that is connected is asked.
    connection = ml_connection(ml_url) if ml_url else None if ml_url == "" else _connected(opened)
    if connection is None:
        return nullcontext()
    from label_studio_quorum.adapters.ml_backend import MLBackendClient
    from review_rules import Stage

    return MLBackendClient(connection, opened.campaign.interface, opened.campaign.project(Stage.PASS))


def _connected(opened: Opened) -> MLConnection | None:
    """The ML backend that is connected, else the one named or running; the server does not give its password."""
    from review_rules import Stage

    connected = opened.port.ml_backends(opened.campaign.project(Stage.PASS))
    url = connected[0].url if connected else os.environ.get("QUORUM_ML_URL")
    return ml_connection(url) if url else running_ml(with_server=opened.port.url)


def _undo(opened: Opened, import_id: str, as_json: bool) -> None:
    from label_studio_quorum.campaign.campaign_lock import locked
    from label_studio_quorum.campaign.importing import undo_import

    with locked(opened.port, opened.campaign.name, "import", say=say_waiting):
        gone = undo_import(opened.port, opened.campaign, import_id)
    if as_json:
        print_json({"campaign": opened.campaign.name, "import_id": import_id, "removed": gone})
    else:
        typer.echo(f"removed {gone:,} rows of import {import_id}")
