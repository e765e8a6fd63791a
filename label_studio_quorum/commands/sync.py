"""`quorum sync`: bring the queues in line with the rules."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
    campaign_name,
    connect,
    open_again,
    open_one,
    print_json,
    progress_bar,
)

if TYPE_CHECKING:
    from label_studio_quorum.adapters.label_studio import HttpLabelStudio
    from label_studio_quorum.campaign.reconcile import ReconcileReport

app = typer.Typer(add_completion=False)


@app.command()
def command(
    name: NameOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    api_key_file: KeyFileOption = None,
    policy: PolicyOption = None,
    team: TeamOption = None,
    row: Annotated[list[str] | None, typer.Option(help="Only this row; may be repeated.")] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on until Ctrl-C: webhooks wake it, a timer wakes it anyway.")
    ] = False,
    listen: Annotated[
        str, typer.Option(help="--watch: HOST:PORT for webhooks; port 0 picks a free one.")
    ] = "127.0.0.1:0",
    webhook_url: Annotated[
        str | None, typer.Option(help="--watch: where Label Studio reaches --listen, if not at that address.")
    ] = None,
    every: Annotated[float, typer.Option(min=1, help="--watch: seconds between looks without a webhook.")] = 15,
    full_every: Annotated[float, typer.Option(min=10, help="--watch: seconds between reads of everything.")] = 600,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make the server match the rules: create, renew and withdraw QA and Expert tasks, reopen rows.

    Running it again changes nothing; running it after any crash repairs.
    """
    # A watch reads everything again and again, and doing so without acting would help nobody.
    if watch and (dry_run or row):
        raise typer.BadParameter("--watch goes with neither --dry-run nor --row", param_hint="--watch")
    opened = _open(url, api_key, api_key_file, name, policy, team, dry_run=dry_run)
    if watch:
        host, _, port = listen.rpartition(":")
        if not port.isdigit():
            raise typer.BadParameter("write HOST:PORT", param_hint="--listen")
        _watch(opened, host or "127.0.0.1", int(port), webhook_url, every, full_every, as_json)
        return
    _once(opened, row, dry_run, as_json)


def _open(
    url: str | None,
    key: str | None,
    key_file: Path | None,
    name: str | None,
    policy: Path | None,
    team: Path | None,
    *,
    dry_run: bool,
) -> Opened:
    """The campaign, after the plugin has mended what it can; a project without its marker can't be opened before."""
    from label_studio_quorum.campaign.projects import CampaignError, OtherFileError

    try:
        opened = open_one(url, key, key_file, name, policy, team, write=not dry_run)
    except OtherFileError:
        raise  # nothing is done for somebody who holds other rules than the server
    except CampaignError:
        if dry_run:
            raise
        # The plugin is asked for the campaign that is meant, as a server may have many.
        meant = campaign_name(url, name)
        _mend(connect(url, key, key_file, name=meant), meant)
        return open_one(url, key, key_file, name, policy, team)
    if dry_run:
        for fault in opened.port.server_faults(opened.campaign.name):
            typer.echo(f"quorum: {'would mend: ' + fault.message if fault.mends else fault}", err=True)
    else:
        _mend(opened.port, opened.campaign.name)
    return opened


def _mend(port: HttpLabelStudio, name: str | None) -> None:
    """Have the server's plugin mend what it can, and say what that was."""
    repair = port.mend_server(name)
    for fault in repair.mended:
        typer.echo(f"quorum: mended: {fault.message}", err=True)
    for fault in repair.left:
        if fault.stops:  # the rest is told by the reconcile
            typer.echo(f"quorum: {fault}", err=True)


def _once(opened: Opened, rows: list[str] | None, dry_run: bool, as_json: bool) -> None:
    from label_studio_quorum.campaign.reconcile import reconcile
    from label_studio_quorum.campaign.returned import stock_lines

    started = time.monotonic()
    with progress_bar("deciding") as (bar, row_bar):
        report = reconcile(
            opened.port,
            opened.campaign,
            rows,
            dry_run=dry_run,
            progress=lambda done: bar.update(row_bar, completed=done),
        )
    _tell(report)
    if report.returned and opened.port.plugin_version() is None:
        for line in stock_lines(report.returned):
            typer.echo(f"warning: {line}", err=True)
    for row_id in report.unknown:
        typer.echo(f"quorum: row {row_id}: campaign {opened.campaign.name!r} has no such row; check its id", err=True)
    took = round(time.monotonic() - started, 3)
    if as_json:
        print_json({"campaign": opened.campaign.name, **report.to_json(), "dry_run": dry_run, "seconds": took})
    # Of rows that are not there "nothing to change" would say that they are in order.
    elif report.rows or not report.unknown:
        typer.echo(f"{_line(report.changes, dry_run)}; {report.rows:,} rows in {took:.1f} s")
        for state, count in report.states.items():
            typer.echo(f"  {state:<16}{count:>7,}")
    raise typer.Exit(1 if report.problems or report.unknown else 0)


def _tell(report: ReconcileReport) -> None:
    """Say what a person has to mend, and what they should know besides."""
    for problem in report.problems:
        typer.echo(f"quorum: {problem}", err=True)
    for line in report.warnings:
        typer.echo(f"warning: {line}", err=True)


def _line(changes: dict[str, int], dry_run: bool) -> str:
    did = ", ".join(f"{what.replace('_', ' ')} {count}" for what, count in changes.items())
    return f"{'would ' if dry_run and did else ''}{did or 'nothing to change'}"


def _watch(
    opened: Opened, host: str, port: int, webhook_url: str | None, every: float, full_every: float, as_json: bool
) -> None:
    from label_studio_quorum.campaign.watch import Listener, registered, watch

    campaign, stop = opened.campaign, threading.Event()
    listener = Listener(host=host, port=port)

    def end(*_: object) -> None:
        stop.set()
        listener.woken.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)

    def say(report: ReconcileReport) -> None:
        _tell(report)
        if as_json:
            print_json({"campaign": campaign.name, **report.to_json()})
        elif report.changed:
            typer.echo(f"{time.strftime('%H:%M:%S')} {_line(report.changes, False)}")

    def warn(text: str) -> None:
        typer.echo(f"quorum: {text}", err=True)

    try:
        with (
            listener.listening() as address,
            registered(opened.port, campaign, webhook_url or address, listener.secret, warn),
        ):
            typer.echo(f"watching {campaign.name!r} at {opened.port.url}; webhooks at {address}", err=True)
            watch(
                opened.port,
                campaign,
                woken=listener.woken,
                stop=stop,
                every_s=every,
                full_every_s=full_every,
                reopen=lambda: open_again(opened),
                say=say,
                complain=lambda text: typer.echo(f"quorum: {text}; trying again", err=True),
            )
    except OSError as error:
        typer.echo(f"quorum: cannot listen at {host}:{port} ({error.strerror}); choose another --listen", err=True)
        raise typer.Exit(1) from None
