"""`quorum check`: look at a file of rows before anyone labels it, and say every fault at once."""

from __future__ import annotations

import json
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import StrEnum
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
    usage,
)

if TYPE_CHECKING:
    from label_studio_quorum.intake import RowFault
    from label_studio_quorum.intake.checks.personal_data import Finder
    from label_studio_quorum.intake.file_check import Checked
    from label_studio_quorum.intake.masked_rows import MaskedRows
    from ls_config import Interface
    from review_rules import Policy

app = typer.Typer(add_completion=False)

_GENERAL = "response_review"
_LACKS_A_CONTROL = "QD.W045"


class PersonalData(StrEnum):
    """What is done about personal data in rows."""

    AUTO = "auto"
    REPORT = "report"
    MASK = "mask"
    UNMASK = "unmask"
    OFF = "off"


RowsArgument = Annotated[
    Path,
    typer.Argument(
        help="JSONL, JSON, CSV, TSV, XLSX, Parquet, a Hugging Face folder, a Label Studio "
        "export or a Ground Truth manifest."
    ),
]
TaskOption = Annotated[
    str | None,
    typer.Option("--task", "--interface", help="Label type, or a folder with a label.xml, that auto-labels must fit."),
]
PolicyOption = Annotated[Path | None, typer.Option(help="Policy file: which domains have an effect.")]
# What the file should be like
LanguageOption = Annotated[
    str | None, typer.Option(help="Expected language (ISO 639-1); without it, what most rows are written in.")
]
NearOption = Annotated[
    float,
    typer.Option(
        min=0.0, max=1.0, help="Share of common word triples from which rows are near-duplicates; 0 skips the check."
    ),
]
# Personal data
PersonalDataOption = Annotated[
    str, typer.Option(help="Personal data: auto (report if the extra `pii` is there), report, mask, unmask, off.")
]
OutOption = Annotated[Path | None, typer.Option(help="With --pii mask or unmask: where the rows go (JSONL).")]
TokensOption = Annotated[
    Path | None,
    typer.Option(help="With --pii mask or unmask: the file that says what each token stands for. Keep it apart."),
]
# What is printed and written
HtmlOption = Annotated[Path | None, typer.Option(help="Write a profile of the file as one HTML page.")]
ProfileOption = Annotated[Path | None, typer.Option(help="Write the profile as JSON.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
StrictOption = Annotated[bool, typer.Option(help="Exit with 1 for warnings too.")]


@app.command()
def command(
    rows: RowsArgument,
    task: TaskOption = None,
    policy: PolicyOption = None,
    map_: MapOption = None,
    format_: FormatOption = None,
    encoding: EncodingOption = None,
    delimiter: DelimiterOption = None,
    quotes: QuotesOption = None,
    sheet: SheetOption = None,
    offsets: OffsetsOption = "code-points",
    max_chars: MaxCharsOption = None,
    language: LanguageOption = None,
    near: NearOption = 0.85,
    pii: PersonalDataOption = "auto",
    out: OutOption = None,
    pii_map: TokensOption = None,
    html: HtmlOption = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
    strict: StrictOption = False,
) -> None:
    """Check a file of rows and say every fault at once.

    Errors keep a row out of a campaign, warnings do not. Exit code 0 without errors, 1 with, 2 for wrong usage.
    """
    from label_studio_quorum.commands.notes import interface_notes
    from label_studio_quorum.intake.checks.whole_file import Expected
    from label_studio_quorum.intake.file_check import check_rows

    options = read_options(format_, encoding, delimiter, quotes, sheet, offsets, max_chars)
    masking = _Masking.read(pii, out, pii_map)
    interface, mapping = _interface(task), read_mapping(map_)
    if task is not None:
        for note in interface_notes(interface):
            typer.echo(f"note: {note}", err=True)
    finder = _finder(masking.mode)
    with _masked(rows, masking, interface, finder) as masked:
        checked = check_rows(
            rows,
            interface=interface,
            mapping=mapping,
            policy=_policy(policy),
            options=options,
            expected=Expected(language=language, near=near or None),
            finder=finder if masked is None else None,
            on_row=masked.add if masked is not None else None,
        )
        if masked is not None:
            masked.write()
    # Without --task the interface is only a guess, of which an auto-label may lack what it likes.
    faults = tuple(fault for fault in checked.faults if task is not None or fault.id != _LACKS_A_CONTROL)
    _write_profile(checked, html, profile)
    _print(rows, checked, faults, as_json=as_json)
    raise typer.Exit(1 if any(fault.severity == "error" or strict for fault in faults) else 0)


def _interface(task: str | None) -> Interface:
    from ls_config import InterfaceError, load

    try:
        return load(task or _GENERAL)
    except InterfaceError as error:
        usage(str(error))


def _policy(path: Path | None) -> Policy | None:
    if path is None:
        return None
    from review_rules import FaultsError, load_policy

    try:
        return load_policy(path.read_text("utf-8"), name=str(path))
    except OSError as error:
        usage(f"{path}: cannot be read ({error.strerror})")
    except FaultsError as error:
        usage("\n".join(map(str, error.faults)))


@dataclass(frozen=True, slots=True)
class _Masking:
    """What is done about personal data, and the two files of masking and unmasking."""

    mode: PersonalData
    out: Path | None
    tokens: Path | None

    @classmethod
    def read(cls, mode: str, out: Path | None, tokens: Path | None) -> _Masking:
        if mode not in list(PersonalData):
            usage(f"--pii {mode}: known are {', '.join(PersonalData)}")
        if mode in (PersonalData.MASK, PersonalData.UNMASK) and (out is None or tokens is None):
            usage(f"--pii {mode} needs --out and --pii-map")
        return cls(PersonalData(mode), out, tokens)


def _finder(mode: PersonalData) -> Finder | None:
    """What finds personal data; only `auto` does without it where the extra is missing."""
    from label_studio_quorum.intake.checks.personal_data import Finder

    if mode in (PersonalData.OFF, PersonalData.UNMASK):
        return None
    return Finder.if_installed() if mode is PersonalData.AUTO else Finder()


def _masked(
    rows: Path, masking: _Masking, interface: Interface, finder: Finder | None
) -> AbstractContextManager[MaskedRows | None]:
    """What takes the rows to be masked or unmasked; nothing where they are only checked."""
    from label_studio_quorum.intake.masked_rows import MaskedRows

    if masking.mode not in (PersonalData.MASK, PersonalData.UNMASK) or masking.out is None or masking.tokens is None:
        return nullcontext()
    try:
        return MaskedRows(rows, masking.out, masking.tokens, interface, finder)
    except (OSError, ValueError) as error:
        usage(f"{masking.tokens}: cannot be read as a map of tokens ({type(error).__name__})")


def _write_profile(checked: Checked, html: Path | None, profile: Path | None) -> None:
    from label_studio_quorum.files import new_file
    from label_studio_quorum.intake.profile import html_page

    if html is not None:
        with new_file(html) as temporary:
            temporary.write_text(html_page(checked.profile, checked.faults), encoding="utf-8")
    if profile is not None:
        with new_file(profile) as temporary:
            temporary.write_text(json.dumps(checked.profile, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _print(rows: Path, checked: Checked, faults: tuple[RowFault, ...], *, as_json: bool) -> None:
    errors = sum(fault.severity == "error" for fault in faults)
    # Faults are in the object, and not on stderr too.
    if as_json:
        made = {
            "file": str(rows),
            "rows": checked.rows,
            "errors": errors,
            "warnings": len(faults) - errors,
            "faults": [fault.to_json() for fault in faults],
            "profile": checked.profile,
        }
        typer.echo(json.dumps(made, ensure_ascii=False))
        return
    for fault in faults:
        print(fault, file=sys.stderr)
    typer.echo(checked.profile["source"] or str(rows))
    typer.echo(f"{checked.rows} good rows, {errors} errors, {len(faults) - errors} warnings.")
