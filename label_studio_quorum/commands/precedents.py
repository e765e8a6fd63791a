"""`quorum precedents`: the decided rows that are most like a row."""

from __future__ import annotations

import json
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
    row: Annotated[str, typer.Argument(metavar="ROW", help="The row whose like are looked for, decided or not.")],
    name: NameOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    api_key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the decided rows that are most like a row, as QA and experts are shown them beside it."""
    name = campaign_name(url, name)
    with connect(url, api_key, api_key_file, name=name) as port:
        answer = port.plugin_precedents(name, row)
    if as_json:
        print_json(answer)
        return
    for precedent in answer["precedents"]:
        for line in _lines(precedent):
            typer.echo(line)
    if answer["waits_for"]:
        typer.echo(f"quorum: {answer['waits_for']}", err=True)
    elif not answer["precedents"]:
        typer.echo(f"no decided row is like {row}")


def _lines(precedent: dict[str, Any]) -> list[str]:
    values = "  ".join(
        f"{field}={json.dumps(value, ensure_ascii=False)}" for field, value in precedent["values"].items()
    )
    lines = [f"{precedent['similarity']:.2f}  {precedent['row_id']}  {precedent['state']}  {values}".rstrip()]
    lines.append(f"      {precedent['cause']}")
    if precedent["reason"]:
        lines.append(f"      reason: {' '.join(precedent['reason'].split())}")
    lines.append(f"      {precedent['excerpt']}")
    return lines
