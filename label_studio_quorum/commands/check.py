"""`quorum check`: look at a file of rows before anyone labels it, and say every fault at once."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from label_studio_quorum.intake.checks.personal_data import Finder
    from label_studio_quorum.intake.file_check import Checked
    from label_studio_quorum.intake.row import Row

app = typer.Typer(add_completion=False)

_GENERAL = "response_review"


@app.command()
def command(
    rows: Annotated[
        Path,
        typer.Argument(
            help="JSONL, JSON, CSV, TSV, XLSX, Parquet, a Hugging Face folder, a Label Studio "
            "export or a Ground Truth manifest."
        ),
    ],
    task: Annotated[
        str | None,
        typer.Option(
            "--task", "--interface", help="Label type, or a folder with a label.xml, that auto-labels must fit."
        ),
    ] = None,
    policy: Annotated[Path | None, typer.Option(help="Policy file: which domains have an effect.")] = None,
    map_: Annotated[
        list[str] | None,
        typer.Option(
            "--map", help="FIELD=COLUMN, or a file of such pairs; may be repeated. An empty COLUMN means none."
        ),
    ] = None,
    format_: Annotated[str | None, typer.Option("--format", help="Format, if the ending does not tell.")] = None,
    encoding: Annotated[str | None, typer.Option(help="Encoding of a text file, if it is not UTF-8.")] = None,
    delimiter: Annotated[str | None, typer.Option(help="Delimiter of a table, if its header does not tell.")] = None,
    sheet: Annotated[str | None, typer.Option(help="The only sheet of a workbook to read.")] = None,
    offsets: Annotated[
        str,
        typer.Option(
            help="What spans count: code-points, detect, utf-16, utf-8, inclusive, utf-16-inclusive, utf-8-inclusive."
        ),
    ] = "code-points",
    max_chars: Annotated[int | None, typer.Option(min=1, help="Most characters of a row.")] = None,
    language: Annotated[
        str | None, typer.Option(help="Expected language (ISO 639-1); without it, what most rows are written in.")
    ] = None,
    near: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Share of common word triples from which rows are near-duplicates; 0 skips the check.",
        ),
    ] = 0.85,
    pii: Annotated[
        str, typer.Option(help="Personal data: auto (report if the extra `pii` is there), report, mask, unmask, off.")
    ] = "auto",
    out: Annotated[Path | None, typer.Option(help="With --pii mask or unmask: where the rows go (JSONL).")] = None,
    pii_map: Annotated[
        Path | None,
        typer.Option(help="With --pii mask or unmask: the file that says what each token stands for. Keep it apart."),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a profile of the file as one HTML page.")] = None,
    profile: Annotated[Path | None, typer.Option(help="Write the profile as JSON.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    strict: Annotated[bool, typer.Option(help="Exit with 1 for warnings too.")] = False,
) -> None:
    """Check a file of rows and say every fault at once.

    Errors keep a row out of a campaign, warnings do not. Exit code 0 without errors, 1 with, 2 for wrong usage.
    """
    from label_studio_quorum.intake import Options, load_mapping
    from label_studio_quorum.intake.checks.whole_file import Expected
    from label_studio_quorum.intake.file_check import check_rows
    from label_studio_quorum.intake.row_check import OFFSETS, ROW_CHARS
    from ls_config import InterfaceError, load

    if offsets not in OFFSETS:
        _usage(f"--offsets {offsets}: known are {', '.join(OFFSETS)}")
    if pii not in ("auto", "report", "mask", "unmask", "off"):
        _usage(f"--pii {pii}: known are auto, report, mask, unmask, off")
    if pii in ("mask", "unmask") and (out is None or pii_map is None):
        _usage(f"--pii {pii} needs --out and --pii-map")
    try:
        interface = load(task or _GENERAL)
        mapping = load_mapping(map_[0] if map_ and len(map_) == 1 and "=" not in map_[0] else map_)
    except (InterfaceError, ValueError) as error:
        _usage(str(error))
    options = Options(
        format=format_,
        encoding=encoding,
        delimiter=delimiter,
        sheet=sheet,
        offsets=offsets,
        max_chars=max_chars or ROW_CHARS,
    )
    keeper = _Keeper(rows, pii, out, pii_map, interface)
    checked = check_rows(
        rows,
        interface=interface,
        mapping=mapping,
        policy=_policy(policy),
        options=options,
        expected=Expected(language=language, near=near or None),
        finder=keeper.finder if pii in ("auto", "report") else None,
        on_row=keeper.keep if pii in ("mask", "unmask") else None,
    )
    faults = tuple(found for found in checked.faults if task is not None or found.id != "QD.W045")
    keeper.write()
    _write_profile(checked, html, profile)
    _print(rows, checked, faults, as_json=as_json)
    wrong = any(found.severity == "error" or strict for found in faults)
    raise typer.Exit(1 if wrong else 0)


def _usage(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(2)


def _policy(path: Path | None) -> Any:
    if path is None:
        return None
    from review_rules import FaultsError, load_policy

    try:
        return load_policy(path.read_text("utf-8"), name=str(path))
    except OSError as error:
        _usage(f"{path}: cannot be read ({error.strerror})")
    except FaultsError as error:
        _usage("\n".join(map(str, error.faults)))


class _Keeper:
    """Holds what masking needs, and writes the masked rows and the map."""

    def __init__(self, rows: Path, mode: str, out: Path | None, pii_map: Path | None, interface: Any) -> None:
        self.mode, self.out, self.map, self.interface = mode, out, pii_map, interface
        self.finder = _finder(mode)
        self.kept = tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n")  # noqa: SIM115
        self.masker: Any = None
        self.values: dict[str, str] = {}
        if mode == "mask" and self.finder is not None:
            from label_studio_quorum.intake.checks.personal_data import Masker

            self.masker = Masker(
                self.finder, Masker.salt_of(rows.read_bytes()) if rows.is_file() else "0000", interface
            )
        if mode == "unmask" and pii_map is not None:
            try:
                self.values = json.loads(pii_map.read_text("utf-8"))
            except (OSError, ValueError) as error:
                _usage(f"{pii_map}: cannot be read as a map of tokens ({type(error).__name__})")

    def keep(self, row: Row) -> None:
        from label_studio_quorum.intake.checks.personal_data import unmask
        from label_studio_quorum.intake.reading import write_json

        changed = self.masker.mask(row) if self.masker else unmask(row, self.values, self.interface)
        self.kept.write(write_json(changed.columns()) + "\n")

    def write(self) -> None:
        if self.out is None or self.mode not in ("mask", "unmask"):
            self.kept.close()
            return
        from label_studio_quorum.files import new_file

        with new_file(self.out) as temporary:
            self.kept.seek(0)
            with temporary.open("w", encoding="utf-8", newline="\n") as file:
                file.writelines(self.kept)
        self.kept.close()
        if self.masker is not None and self.map is not None:
            with new_file(self.map, private=True) as temporary:
                temporary.write_text(json.dumps(self.masker.values, ensure_ascii=False, indent=1), encoding="utf-8")


def _finder(mode: str) -> Finder | None:
    from label_studio_quorum.intake.checks.personal_data import Finder

    if mode in ("off", "unmask"):
        return None
    return Finder.if_installed() if mode == "auto" else Finder()


def _write_profile(checked: Checked, html: Path | None, profile: Path | None) -> None:
    from label_studio_quorum.files import new_file
    from label_studio_quorum.intake.profile import html_page

    if html is not None:
        with new_file(html) as temporary:
            temporary.write_text(html_page(checked.profile, checked.faults), encoding="utf-8")
    if profile is not None:
        with new_file(profile) as temporary:
            temporary.write_text(json.dumps(checked.profile, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _print(rows: Path, checked: Checked, faults: tuple[Any, ...], *, as_json: bool) -> None:
    errors = sum(found.severity == "error" for found in faults)
    if as_json:
        made = {
            "file": str(rows),
            "rows": checked.rows,
            "errors": errors,
            "warnings": len(faults) - errors,
            "faults": [found.to_json() for found in faults],
            "profile": checked.profile,
        }
        typer.echo(json.dumps(made, ensure_ascii=False))
        return
    for found in faults:
        print(found, file=sys.stderr)
    typer.echo(checked.profile["source"] or str(rows))
    typer.echo(f"{checked.rows} good rows, {errors} errors, {len(faults) - errors} warnings.")
