"""Gold out: one writer for every format that the full records of a campaign leave in.

`write` takes the full records (docs/data.md) and makes one file or folder: atomically, at flat memory, and with the
same bytes for the same records. Only gold leaves unless everything is asked for, and then each row says whether it is
gold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from label_studio_quorum.files import new_file, new_folder, sha256_of, write_text
from label_studio_quorum.gold.datasheet import Card
from label_studio_quorum.gold.formats.reading import CARRIES_HISTORY, read_records
from label_studio_quorum.gold.spool import RecordLine, Spool
from ls_config import Interface

__all__ = ["CARRIES_HISTORY", "FORMATS", "WriteReport", "format_of", "read_records", "write"]

FORMATS: Mapping[str, str] = {
    "jsonl": "the full record, one JSON object a line",
    "csv": "one row a record, one column a field and annotator",
    "xlsx": "the same as a workbook, with sheets of people, agreement and records",
    "parquet": "typed columns, and the record as JSON",
    "hf": "a Hugging Face data set folder with features and card",
    "conll": "tokens with IOB2 tags, for fields of spans",
    "docbin": "spaCy's DocBin (extra `spacy`)",
    "ground-truth": "SageMaker Ground Truth output manifest with the chain auto-label → passes → adjustment",
    "label-studio": "Label Studio's own JSON, ready to be imported",
}
_SUFFIXES = {
    ".jsonl": "jsonl", ".csv": "csv", ".xlsx": "xlsx", ".parquet": "parquet", ".conll": "conll", ".iob": "conll",
    ".spacy": "docbin", ".manifest": "ground-truth", ".json": "label-studio",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class WriteReport:
    """What was written: rows in the file, rows left out because they are not gold, hashes of the files, the seal of the
    records, and what to know about them."""

    path: Path
    format: str
    rows: int
    left_out: int
    sha256: Mapping[str, str]
    seal: str
    lints: Mapping[str, int]
    card: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """The report as a JSON object."""
        return {
            "path": str(self.path),
            "format": self.format,
            "rows": self.rows,
            "left_out": self.left_out,
            "sha256": dict(self.sha256),
            "seal": self.seal,
            "lints": dict(self.lints),
            "card": str(self.card) if self.card else None,
        }


def format_of(path: str | Path) -> str | None:
    """The format that a path's ending names; `hf` for a path without an ending, None for an ending that names none."""
    suffix = Path(path).suffix.lower()
    return _SUFFIXES.get(suffix) if suffix else "hf"


def write(
    records: Iterable[Mapping[str, Any] | RecordLine],
    path: str | Path,
    format: str | None = None,
    *,
    interface: Interface,
    everything: bool = False,
    card: bool = False,
    about: Mapping[str, Any] | None = None,
    guard: bool = False,
    bom: bool = False,
) -> WriteReport:
    """Write full records as one file or folder.

    Args:
        records: Full records or their lines, in the order in which they are to stand; read once.
        path: The file or folder (for `hf`, and for `docbin` where the path has no ending) to make; it appears only when
            it is whole.
        format: One of `FORMATS`; None goes by the ending.
        interface: The label interface, for labels, kinds and texts.
        everything: Also rows that are not gold; each row says which it is.
        card: Write a datasheet beside it (`<path>.card.md`; the `hf` folder's README.md has it in any case).
        about: What the datasheet says of the campaign: `name`, the hashes `policy` and `checks`, and `threads`:
            messages that are about no row; None for a server that keeps no threads.
        guard: In CSV, put an apostrophe before cells that a spreadsheet would read as a formula.
        bom: Begin a CSV with a byte order mark, by which Excel tells that it is UTF-8.

    Raises ValueError for an unknown format or one that has no byte order mark, OSError where the path cannot be
    written.
    """
    path = Path(path)
    name = format or format_of(path) or path.suffix
    if name not in FORMATS:
        raise ValueError(f"'{name}' is no format; known: {', '.join(FORMATS)}")
    if bom and name != "csv":
        raise ValueError(f"a byte order mark is for csv, not for {name}")
    lints: Counter[str] = Counter()
    path.parent.mkdir(parents=True, exist_ok=True)
    with Spool(records, path.parent, interface, everything=everything) as spool:
        sheet = Card.of(spool, interface, about or {})
        if name == "hf":
            with new_folder(path) as temporary:
                from label_studio_quorum.gold.formats.columnar import write_folder

                write_folder(spool, temporary, sheet.text())
        elif name == "docbin" and not path.suffix:
            with new_folder(path) as temporary:
                from label_studio_quorum.gold.formats.spans import write_docbins

                write_docbins(spool, temporary, lints)
        else:
            with new_file(path) as temporary:
                _WRITERS[name](spool, temporary, lints, interface, sheet, _CsvStyle(guard, bom))
        hashes = _hashes(path)
        card_path = _write_card(path, name, sheet.text(hashes)) if card else None
        return WriteReport(
            path, name, spool.rows, spool.left_out, hashes, spool.seal, dict(sorted(lints.items())), card_path
        )


def _hashes(path: Path) -> dict[str, str]:
    files = sorted(part for part in path.rglob("*") if part.is_file()) if path.is_dir() else [path]
    return {file.relative_to(path.parent).as_posix(): sha256_of(file) for file in files}


def _write_card(path: Path, name: str, text: str) -> Path:
    card_path = path.with_name(path.name + ".card.md")
    write_text(card_path, text)
    return card_path


@dataclass(frozen=True, slots=True)
class _CsvStyle:
    """How a CSV is written for a spreadsheet."""

    guard: bool
    bom: bool


_Writer = Callable[[Spool, Path, "Counter[str]", Interface, Card, _CsvStyle], object]


def _jsonl(spool: Spool, path: Path, *_: object) -> None:
    spool.copy_to(path)


def _csv(spool: Spool, path: Path, lints: Counter[str], interface: Interface, sheet: Card, style: _CsvStyle) -> None:
    from label_studio_quorum.gold.formats.tables import write_csv

    write_csv(spool, path, lints, guard=style.guard, bom=style.bom)


def _xlsx(spool: Spool, path: Path, lints: Counter[str], interface: Interface, sheet: Card, *_: object) -> None:
    from label_studio_quorum.gold.formats.tables import write_xlsx

    write_xlsx(spool, path, lints, sheet.agreement)


def _parquet(spool: Spool, path: Path, *_: object) -> None:
    from label_studio_quorum.gold.formats.columnar import write_parquet

    write_parquet(spool, path)


def _conll(spool: Spool, path: Path, lints: Counter[str], *_: object) -> None:
    from label_studio_quorum.gold.formats.spans import write_conll

    write_conll(spool, path, lints)


def _docbin(spool: Spool, path: Path, lints: Counter[str], *_: object) -> None:
    from label_studio_quorum.gold.formats.spans import write_docbin

    write_docbin(spool, path, lints)


def _manifest(spool: Spool, path: Path, lints: Counter[str], interface: Interface, *_: object) -> None:
    from label_studio_quorum.gold.formats.ground_truth import write_manifest

    write_manifest(spool, path, lints, interface)


def _tasks(spool: Spool, path: Path, lints: Counter[str], interface: Interface, *_: object) -> None:
    from label_studio_quorum.gold.formats.label_studio import write_tasks

    write_tasks(spool, path, lints, interface)


_WRITERS: Mapping[str, _Writer] = {
    "jsonl": _jsonl,
    "csv": _csv,
    "xlsx": _xlsx,
    "parquet": _parquet,
    "conll": _conll,
    "docbin": _docbin,
    "ground-truth": _manifest,
    "label-studio": _tasks,
}
