"""`quorum audit`: what the server's audit log proves, and what in it cannot be."""

from __future__ import annotations

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

app = typer.Typer(add_completion=False)


@app.command()
def command(
    name: NameOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    api_key_file: KeyFileOption = None,
    head: Annotated[
        str | None,
        typer.Option("--head", metavar="NUMBER:HASH", help="The head of the audit log as an earlier audit printed it."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Prove from the audit log that nobody was served a peer's answer before submitting; exit 1 if it does not hold.

    The audit log is a chain of hashes, so a changed, added or removed entry shows; so does an answer on the server that
    is not the one submitted. Keep the head that is printed: given to a later audit, it also proves the log up to then.
    """
    name = campaign_name(url, name)
    audit = connect(url, api_key, api_key_file, name=name).plugin_audit(name, head)
    if as_json:
        print_json(audit)
    else:
        _show(audit)
    # Faults go to stderr with --json too, as in every command.
    for fault in audit["faults"]:
        typer.echo(f"quorum: audit entry {fault['seq']}: {fault['code']}: {fault['message']}", err=True)
    if not audit["proven"]:
        raise typer.Exit(1)


def _show(audit: dict[str, Any]) -> None:
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in audit["kinds"].items()) or "nothing yet"
    typer.echo(f"{audit['campaign']}: {audit['answers']:,} answers, {kinds}")
    if audit["proven"]:
        typer.echo("proven: each answer was given by whom the audit log says, before anybody else's was served to them")
    else:
        typer.echo(f"not proven: {len(audit['faults']):,} faults")
    typer.echo(f"head of the audit log ({audit['lines']:,} entries): {audit['head']}")
