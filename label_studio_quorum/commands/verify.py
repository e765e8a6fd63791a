"""`quorum verify`: prove an export by deciding every record again from its own history."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from label_studio_quorum.commands.shared_options import (
    KeyFileOption,
    KeyOption,
    NameOption,
    UrlOption,
    print_json,
    rules_of_command,
)
from label_studio_quorum.gold.proof import Proof, title_of
from review_rules.seals import Places
from review_rules.verify import Verifier

app = typer.Typer(add_completion=False)

_ALGORITHM: Final = "sha256:"
_FEW: Final = 3
"""Findings of one cause that are listed; the others are counted."""


@app.command()
def command(
    export: Annotated[Path, typer.Argument(help="JSONL, CSV, XLSX, Parquet, JSON or folder.", exists=True)],
    policy: Annotated[
        Path | None, typer.Option(help="The policy it was made under; else the server's.", exists=True, dir_okay=False)
    ] = None,
    team: Annotated[
        Path | None, typer.Option(help="The team file; else the server's.", exists=True, dir_okay=False)
    ] = None,
    seal: Annotated[
        str | None, typer.Option("--seal", metavar="SHA256", help="The seal that the export printed; implies --sealed.")
    ] = None,
    sealed: Annotated[
        bool, typer.Option("--sealed", help="Refuse records without a digest, as older versions wrote them.")
    ] = False,
    part: Annotated[
        bool, typer.Option("--part", help="Take a part of an export: rows may be missing and in any order.")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="List every finding, not the first few of a cause.")
    ] = False,
    name: NameOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    api_key_file: KeyFileOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, with every finding.")] = False,
) -> None:
    """Prove an export: every final label must follow from its own history; exit 1 if anything does not.

    Both files and no --name: no server is asked. Else the campaign's server says by which policy and team.
    It says at the end what a file of this kind cannot prove.
    """
    if part and seal is not None:
        raise typer.BadParameter("a seal is that of a whole export, not of a part", param_hint="--part")
    if seal is not None and not seal.startswith(_ALGORITHM):
        seal = _ALGORITHM + seal
    rules, people = rules_of_command(url, api_key, api_key_file, name, policy, team)
    places = Places(required=sealed or seal is not None, expected=seal, partial=part)
    proof = Proof(export, Verifier(people, rules, places))
    findings = []
    for unproven in proof.findings():
        if as_json:
            findings.append(unproven.to_json())
        elif everything or proof.causes[unproven.cause] <= _FEW:
            typer.echo(str(unproven), err=True)
    if as_json:
        print_json(
            {
                "ok": not proof.causes,
                "rows": proof.rows,
                "final": proof.final,
                "policy": rules.hash,
                "seal": places.seal if _is_whole(proof) else None,
                "sealed": bool(proof.rows and not places.unsealed),
                "not_proved": proof.not_proved(),
                "causes": [_cause_json(cause, count) for cause, count in proof.causes.most_common()],
                "findings": findings,
            }
        )
    else:
        _tell(proof, everything)
    if proof.causes:
        raise typer.Exit(1)


def _is_whole(proof: Proof) -> bool:
    """Whether the seal is that of an export: the seal of anything else should not be noted by anybody."""
    places = proof.verifier.places
    return bool(proof.rows) and not (proof.causes or places.unsealed or places.partial)


def _cause_json(cause: tuple[str, str], count: int) -> dict[str, str | int]:
    return {"id": cause[0], "path": cause[1], "title": title_of((cause[0], "")), "count": count}


def _tell(proof: Proof, everything: bool) -> None:
    """The sum at the end: findings by cause, and what this file cannot prove."""
    count = proof.causes.total()
    word = "finding" if count == 1 else "findings"
    of = f" of {len(proof.causes):,} causes" if len(proof.causes) > 1 else ""
    typer.echo(f"{proof.path}: {proof.rows:,} rows, {proof.final:,} final, {count:,} {word}{of}")
    for cause, times in proof.causes.most_common():
        more = "" if everything or times <= _FEW else f"; the first {_FEW} are listed, --all lists each"
        typer.echo(f"  {times:,} × {cause[0]} {title_of(cause)}{more}")
    for sentence in proof.not_proved():
        typer.echo(f"not proved: {sentence}")
    if _is_whole(proof):
        typer.echo(f"seal: {proof.verifier.places.seal}")
