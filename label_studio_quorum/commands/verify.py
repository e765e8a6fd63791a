"""`quorum verify`: prove an export by deciding every record again from its own history."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from label_studio_quorum.commands.json_lines import BadLine, loads, numbered_lines
from label_studio_quorum.commands.shared_options import (
    KeyFileOption,
    KeyOption,
    NameOption,
    UrlOption,
    rules_of_command,
)
from review_rules import Finding, Policy, Team
from review_rules.findings import finding
from review_rules.verify import Verifier

app = typer.Typer(add_completion=False)


@app.command()
def command(
    export: Annotated[Path, typer.Argument(help="JSONL, CSV, XLSX, Parquet, JSON or folder.", exists=True)],
    policy: Annotated[
        Path | None, typer.Option(help="The policy it was made under; else the server's.", exists=True, dir_okay=False)
    ] = None,
    team: Annotated[
        Path | None, typer.Option(help="The team file; else the server's.", exists=True, dir_okay=False)
    ] = None,
    name: NameOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    api_key_file: KeyFileOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Prove an export: every final label must follow from its own history; exit 1 if anything does not.

    Both files and no --name: no server is asked. Else the campaign's server says by which policy and team.
    """
    rules = rules_of_command(url, api_key, api_key_file, name, policy, team)
    tally = {"rows": 0, "final": 0}
    findings: list[dict[str, Any]] = []
    for line, row_id, problem in check_file(export, tally, *rules):
        findings.append({"line": line, "row_id": row_id} | problem.to_json())
        if not as_json:
            where = f" row {row_id}:" if row_id else ""
            path = f" {problem.path}:" if problem.path else ""
            typer.echo(f"{export}:{line}:{where}{path} {problem.id} {problem.message}. {problem.hint}", err=True)
    if as_json:
        typer.echo(json.dumps({"ok": not findings, **tally, "policy": rules[0].hash, "findings": findings}))
    else:
        typer.echo(f"{export}: {tally['rows']} rows, {tally['final']} final, {len(findings)} findings")
    if findings:
        raise typer.Exit(1)


def check_file(
    export: Path, tally: dict[str, int], policy: Policy, team: Team
) -> Iterator[tuple[int, str | None, Finding]]:
    """Every finding of a file with its line and row id; `tally` counts rows and final ones on the way."""
    verifier = Verifier(team, policy)
    # Formats that carry the record in a column or a task; everything else is lines of records.
    if export.is_dir() or export.suffix.lower() in (".csv", ".xlsx", ".parquet", ".json"):
        yield from _check_table(export, tally, verifier)
        return
    with export.open("rb") as stream:
        for number, line in numbered_lines(stream):
            try:
                record = loads(line)
            except BadLine as error:
                yield number, None, finding("QR.E101", "", reason=str(error))
                continue
            row_id = record.get("row_id") if isinstance(record, dict) else None
            tally["rows"] += 1
            tally["final"] += isinstance(record, dict) and record.get("state") == "FINAL"
            for problem in verifier.check(record, number):
                yield number, row_id if isinstance(row_id, str) else None, problem


def _check_table(export: Path, tally: dict[str, int], verifier: Verifier) -> Iterator[tuple[int, str | None, Finding]]:
    """The same for a format that carries each record next to what people read: the two must say the same."""
    from label_studio_quorum.gold.formats import read_records
    from label_studio_quorum.intake import RowFault, UnreadableError

    cells: list[RowFault] = []
    try:
        for number, record in enumerate(read_records(export, cells.append), 1):
            tally["rows"] += 1
            tally["final"] += record.get("state") == "FINAL"
            row_id = str(record.get("row_id"))
            yield from ((number, row_id, finding("QR.E101", "", reason=cell.message)) for cell in cells)
            cells.clear()
            yield from ((number, row_id, problem) for problem in verifier.check(record, number))
    except UnreadableError as error:
        yield error.fault.line or 0, None, finding("QR.E101", "", reason=error.fault.message)
