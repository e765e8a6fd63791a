"""`quorum notify`: what people were told by mail and webhook, what waits, and what failed of what."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from label_studio_quorum.commands.shared_options import (
    JsonOption,
    KeyFileOption,
    KeyOption,
    NameOption,
    UrlOption,
    campaign_name,
    connect,
    print_json,
)

app = typer.Typer(add_completion=False, help="List notifications that left the server, send what is due, or a test.")

_NOTHING = "nothing leaves this server: set QUORUM_MAIL_HOST, QUORUM_NOTIFY_URL or QUORUM_SLACK_URL where it is started"


class ParcelState(StrEnum):
    """What became of a notification that was to leave the server."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"
    DROPPED = "dropped"


@app.callback(invoke_without_command=True)
def show(
    context: typer.Context,
    name: NameOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    api_key_file: KeyFileOption = None,
    state: Annotated[ParcelState | None, typer.Option("--state", help="Only those of this state.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the notifications of a campaign that left the server or wait to, the newest first."""
    if context.invoked_subcommand is not None:
        return
    name = campaign_name(url, name)
    with connect(url, api_key, api_key_file, name=name) as port:
        listed = port.plugin_outbox(name, state="" if state is None else state.value)
    if as_json:
        print_json(listed)
        return
    for parcel in listed["parcels"]:
        typer.echo(_line(parcel))
    if listed["left_off"]:
        typer.echo(f"quorum: {listed['left_off']:,} older ones not shown", err=True)
    if not listed["channels"]:
        typer.echo(f"quorum: {_NOTHING}", err=True)
    if not listed["parcels"]:
        typer.echo("nothing is in the outbox")


@app.command()
def send(
    name: NameOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    api_key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look for what is new and send what is due, for all campaigns of the server, which does so by itself too."""
    came = _ask("send", name, url, api_key, api_key_file)
    if as_json:
        print_json(came)
    else:
        _say_nothing_leaves(came)
        counts = ", ".join(f"{came[word]:,} {word}" for word in ("sent", "failed", "dropped"))
        typer.echo(f"{came['made']:,} new notifications; {counts}")
    if came["failed"]:
        raise typer.Exit(1)


@app.command("test")
def try_out(
    name: NameOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    api_key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a test to yourself by every way that the server has, at once; exit 1 where one fails."""
    came = _ask("test", name, url, api_key, api_key_file)
    if as_json:
        print_json(came)
    else:
        _say_nothing_leaves(came)
        for parcel in came["sent"]:
            typer.echo(f"{parcel['channel']}: {parcel['state']}{_because(parcel)}")
    if not came["sent"] or any(parcel["state"] != ParcelState.SENT.value for parcel in came["sent"]):
        raise typer.Exit(1)


def _ask(act: str, name: str | None, url: str | None, key: str | None, key_file: Any) -> dict[str, Any]:
    name = campaign_name(url, name)
    with connect(url, key, key_file, name=name) as port:
        return port.act_on_outbox(name, act)


def _say_nothing_leaves(came: dict[str, Any]) -> None:
    if not came["channels"]:
        typer.echo(f"quorum: {_NOTHING}", err=True)


def _line(parcel: dict[str, Any]) -> str:
    to = f" to {parcel['to']}" if parcel["to"] else ""
    when = parcel["sent_at"] or parcel["next_at"] or parcel["made_at"]
    tries = f", attempt {parcel['attempts']}" if parcel["attempts"] > 1 else ""
    what = ", ".join(parcel["kinds"])
    return f"{when[:16]}  {parcel['state']}  {parcel['channel']}{to}: {what}{tries}{_because(parcel)}"


def _because(parcel: dict[str, Any]) -> str:
    return f" ({parcel['why']})" if parcel["why"] else ""
