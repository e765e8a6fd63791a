"""`quorum flags`: which rows people flagged, by flag, and why."""

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
    only: Annotated[str, typer.Option("--flag", metavar="FLAG", help="This flag alone, such as guideline_gap.")] = "",
    after: Annotated[
        str, typer.Option("--after", metavar="PLACE", help="With --flag: the page that begins here.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Count the rows that people flagged and say who flagged each and why; rows that are not decided come first."""
    if after and not only:
        raise typer.BadParameter("name the flag whose page it is", param_hint="--flag")
    name = campaign_name(url, name)
    with connect(url, api_key, api_key_file, name=name) as port:
        answer = port.plugin_flags(name, flag=only, after=after)
    flags = answer["flags"]
    if as_json:
        print_json(answer)
        return
    for flag in flags:
        typer.echo(f"{flag['flag']}: {flag['rows']:,} rows, {flag['open']:,} not decided")
        for mark in flag["marks"]:
            typer.echo(_line(mark))
        if flag["left_off"]:
            where = f"--flag {flag['flag']} --after {flag['after']}"
            typer.echo(f"quorum: {flag['left_off']:,} more rows of {flag['flag']}: {where}", err=True)
    if not flags:
        typer.echo("nobody has flagged a row" if not only else f"no row bears the flag {only}")


def _line(mark: dict[str, Any]) -> str:
    how = f"{mark['stage']}, skipped" if mark["skipped"] else mark["stage"]
    reason = mark["reason"].replace("\n", " ") or "no reason given"
    return f"  {mark['row_id']}  {mark['state']}  {mark['by']} ({how}): {reason}"
