"""`read_rows`: any file of rows in, checked rows and faults out, in one pass and at flat memory."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from label_studio_quorum.intake import columnar
from label_studio_quorum.intake import text_file as textfile
from label_studio_quorum.intake.checks.record_faults import ROW_CHARS, Limits
from label_studio_quorum.intake.column_mapping import ColumnMapping
from label_studio_quorum.intake.faults import Place, RowFault, fault
from label_studio_quorum.intake.other_tools import shape_of, unwrap
from label_studio_quorum.intake.rejects import Rejects
from label_studio_quorum.intake.row import Row, is_hash_of
from label_studio_quorum.intake.row_check import REQUIRED, Validator
from label_studio_quorum.intake.tab_separated import QUOTES, quotes_of
from label_studio_quorum.intake.text_file import Record, UnreadableError
from ls_config import Interface

__all__ = ["FORMATS", "QUOTES", "Options", "Source", "load_mapping", "open_source", "read_rows"]

FORMATS = ("jsonl", "json", "csv", "tsv", "xlsx", "parquet", "arrow", "folder", "label-studio", "ground-truth")
_BY_SUFFIX = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".manifest": "jsonl", ".json": "json",
    ".csv": "csv", ".tsv": "tsv", ".tab": "tsv",
    ".xlsx": "xlsx", ".xlsm": "xlsx", ".parquet": "parquet", ".arrow": "arrow",
}  # fmt: skip
_SHAPES = ("label-studio", "ground-truth")


class _Policy(Protocol):
    """The part of a policy that says which domains a campaign knows."""

    @property
    def expert_domains(self) -> Iterable[str]:
        """Domains that call for an expert."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a file is read, where it does not say so itself. `None` means: find out, and say it."""

    format: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    quotes: str | None = None
    """How a file of tab-separated values was written: one of `QUOTES`."""
    sheet: str | None = None
    offsets: str = "code-points"
    max_chars: int = ROW_CHARS
    known: Mapping[str, str] = field(default_factory=dict)
    """Row hashes by id of what a campaign already holds: a changed row is a fault."""


DEFAULTS = Options()


@dataclass(frozen=True, slots=True)
class Source:
    """A file that was looked at: its format, what was found out about it (for people to read), and its faults so
    far."""

    path: Path
    format: str
    encoding: str | None = None
    delimiter: str | None = None
    faults: tuple[RowFault, ...] = ()
    quotes: str | None = None

    def __str__(self) -> str:
        """What was found out, in words."""
        parts = [self.format, self.encoding, f"delimiter {self.delimiter!r}" if self.delimiter else None]
        parts.append(f"quotes {self.quotes}" if self.quotes else None)
        return f"{self.path}: " + ", ".join(part for part in parts if part)


def load_mapping(pairs: Iterable[str] | str | Path | None) -> dict[str, str]:
    """A column mapping, Quorum's field to the file's column, from `field=column` pairs or a JSON or YAML file of them.

    An empty column means that the file has none and the field is empty; in JSON a column may be a path, such as
    `inputs.question`. One word without an equals sign names a file. Raises ValueError with a sentence for people.

    >>> load_mapping(["response=answer", "context="])
    {'response': 'answer', 'context': ''}
    """
    if pairs is None:
        return {}
    if isinstance(pairs, str | Path):
        return _mapping_file(Path(pairs))
    pairs = list(pairs)
    if len(pairs) == 1 and "=" not in pairs[0]:
        return _mapping_file(Path(pairs[0]))
    mapping: dict[str, str] = {}
    for pair in pairs:
        name, equals, column = pair.partition("=")
        if not equals or not name:
            raise ValueError(f"'{pair}' is no mapping; write FIELD=COLUMN, such as response=answer")
        mapping[name.strip()] = column.strip()
    return mapping


def _mapping_file(path: Path) -> dict[str, str]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        columns = YAML(typ="safe").load(path.read_text("utf-8"))
    except (OSError, YAMLError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path}: cannot be read as a mapping ({type(error).__name__}); write FIELD: COLUMN, one a line"
        ) from error
    if not isinstance(columns, dict) or not all(isinstance(column, str | None) for column in columns.values()):
        raise ValueError(f"{path}: must hold FIELD: COLUMN, one a line")
    return {str(name): column or "" for name, column in columns.items()}


def open_source(path: str | Path, options: Options = DEFAULTS, *, wanted: Iterable[str] = REQUIRED) -> Source:
    """Look at a file or folder and tell what it is. Raises UnreadableError where that fails."""
    path = Path(path)
    place = Place(str(path))
    if not path.exists():
        raise UnreadableError(fault("QD.E001.missing", place))
    form = _format(path, options.format)
    # Binary formats say all about themselves inside.
    if form in ("xlsx", "parquet", "arrow", "folder"):
        return Source(path, form)
    encoding, doubt = textfile.decoding(path, options.encoding)
    form = _looked_at(path, form, encoding)
    doubts = [doubt]
    delimiter = quotes = None
    if form in ("csv", "tsv"):
        delimiter = _stated_delimiter(path, options.delimiter) or (
            "\t" if form == "tsv" else textfile.delimiter_of(path, encoding, list(wanted))
        )
    if delimiter == "\t":
        quotes, two_ways = (options.quotes, None) if options.quotes else quotes_of(path, encoding)
        doubts.append(two_ways)
    return Source(path, form, encoding, delimiter, tuple(filter(None, doubts)), quotes)


def _stated_delimiter(path: Path, delimiter: str | None) -> str | None:
    """The delimiter that somebody named; a tab is hard to type, and may be named as `\\t`."""
    if delimiter is None or delimiter == "\\t":
        return delimiter and "\t"
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise UnreadableError(fault("QD.E003.delimiter", Place(str(path)), delimiter=delimiter))
    return delimiter


def _format(path: Path, wanted: str | None) -> str:
    if wanted is not None and wanted not in FORMATS:
        about = {"format": wanted, "formats": ", ".join(FORMATS)}
        raise UnreadableError(fault("QD.E003.format", Place(str(path)), **about))
    if path.is_dir():
        return "folder"
    form = wanted if wanted not in _SHAPES else None
    form = form or _BY_SUFFIX.get(path.suffix.lower())
    # The readers of the binary formats tell a wrong content themselves.
    if form is None or form not in ("xlsx", "parquet", "arrow"):
        _must_be_open(path)
    if form is None:
        about = {"ending": path.suffix, "endings": ", ".join(sorted(_BY_SUFFIX))}
        raise UnreadableError(fault("QD.E003.ending", Place(str(path)), **about))
    return form


_PACKED = {
    b"\x1f\x8b": "QD.E003.gzip",
    b"\xfd7zXZ": "QD.E003.xz",
    b"\x28\xb5\x2f\xfd": "QD.E003.zstd",
    b"\xd0\xcf\x11\xe0": "QD.E003.old_workbook",
}
"""What a file begins with that must be unpacked or saved anew, and the sentence that says so."""


def _must_be_open(path: Path) -> None:
    """Raise UnreadableError for a file that must be unpacked or saved anew before anyone can read it."""
    with path.open("rb") as file:
        head = file.read(8)
    for mark, sentence in _PACKED.items():
        if head.startswith(mark):
            raise UnreadableError(fault(sentence, Place(str(path))))


def _looked_at(path: Path, form: str, encoding: str) -> str:
    """JSON and JSONL are told apart by their first character, whatever the ending says; a zip or Parquet file is no
    text."""
    with path.open("rb") as file:
        head = file.read(4)
    if head in (b"PK\x03\x04", b"PAR1"):
        content = "spreadsheet" if head[:2] == b"PK" else "Parquet file"
        raise UnreadableError(fault("QD.E003.content", Place(str(path)), content=content, format=form))
    # A table begins with any character.
    if form not in ("json", "jsonl"):
        return form
    with path.open(encoding=encoding) as text:
        begin = text.read(1 << 16).lstrip(" \t\r\n\ufeff")
    if begin.startswith("{") and path.suffix.lower() == ".json":
        _must_be_rows(path, begin)
    return "json" if begin.startswith("[") else "jsonl" if begin.startswith("{") else form


_WRAPPER_KEYS = 3
"""Most keys of an object that is only a wrapping."""
_KEY = re.compile(r'\{\s*"([^"\\]+)"\s*:\s*\[')


def _must_be_rows(path: Path, head: str) -> None:
    """Raise UnreadableError for one JSON object around the rows, such as `{"rows": [{…}, {…}]}`, or one that is written
    over several lines; an object a line may have the ending .json."""
    first, newline, _ = head.partition("\n")
    key = _KEY.match(head)
    if first.rstrip().endswith("}"):
        # A whole object on the first line is a row, unless it does nothing but wrap an array of objects.
        try:
            record = json.loads(first)
        except ValueError:
            return  # a broken line, which is told as one
        rows = record.get(key[1]) if key and isinstance(record, dict) and len(record) <= _WRAPPER_KEYS else None
        if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
            return
        if "response" in record or "data" in record:
            return  # a row or a task that happens to carry an array of objects
    elif not newline:
        return  # a line too long to be told
    place = Place(str(path))
    raise UnreadableError(fault("QD.E003.wrapped", place, key=key[1]) if key else fault("QD.E003.object", place))


def read_rows(
    path: str | Path,
    *,
    interface: Interface | None,
    mapping: Mapping[str, str] | None = None,
    policy: _Policy | None = None,
    options: Options = DEFAULTS,
    rejects: Rejects | None = None,
) -> Iterator[Row | RowFault]:
    """Read a file or folder of rows; every fault of every row comes out, and every row without an error.

    Args:
        path: JSONL, JSON, CSV, TSV, XLSX, Parquet, Arrow, a Hugging Face folder, a Label Studio export or a Ground
        Truth manifest.
        interface: The label interface that auto-labels must fit; None leaves them unchecked.
        mapping: Quorum's field → the file's column (`auto_label.<control>` too); an empty column means an empty field.
        policy: Says which domains have an effect.
        options: Format, encoding, delimiter, sheet, what spans count, size limit, hashes of rows that are there.
        rejects: Takes every row that has an error, as it was given.

    Yields a `Row` or a `RowFault` in the order of the file; memory stays flat but for the set of ids. Never raises
    on content.
    """
    mapping = dict(mapping or {})
    try:
        wanted = [mapping.get(name, name) for name in REQUIRED]
        source = open_source(path, options, wanted=wanted)
        yield from source.faults
        yield from _checked(
            _records(source, options, [name for name in wanted if name]),
            source,
            interface,
            mapping,
            policy,
            options,
            rejects,
        )
    except UnreadableError as error:
        yield error.fault


def _records(source: Source, options: Options, wanted: list[str]) -> Iterator[Record | RowFault]:
    match source.format:
        case "jsonl":
            yield from textfile.read_jsonl(source.path, source.encoding or "utf-8")
        case "json":
            yield from textfile.read_json(source.path, source.encoding or "utf-8")
        case "csv" | "tsv" if source.quotes:
            yield from textfile.read_tsv(source.path, source.encoding or "utf-8", source.quotes)
        case "csv" | "tsv":
            yield from textfile.read_csv(source.path, source.encoding or "utf-8", source.delimiter or ",")
        case "xlsx":
            from label_studio_quorum.intake import sheets  # its library takes longer to load than most files to read

            yield from sheets.read_xlsx(source.path, sheet=options.sheet, required=wanted)
        case "parquet":
            yield from columnar.read_parquet(source.path)
        case "arrow":
            yield from columnar.read_arrow(source.path)
        case _:
            for part, split in columnar.split_parts(source.path):
                inner = open_source(part, replace(options, format=None), wanted=wanted)
                yield from inner.faults
                for record in _records(inner, options, wanted):
                    if split is not None and isinstance(record, Record) and "split" not in record.values:
                        yield replace(record, values=record.values | {"split": split})
                    else:
                        yield record


def _checked(
    records: Iterator[Record | RowFault],
    source: Source,
    interface: Interface | None,
    mapping: Mapping[str, str],
    policy: _Policy | None,
    options: Options,
    rejects: Rejects | None,
) -> Iterator[Row | RowFault]:
    domains = None if policy is None else frozenset({"general", *policy.expert_domains})
    validator = Validator(interface, Limits(options.max_chars, domains, options.offsets))
    shape = options.format if options.format in _SHAPES else None
    # A manifest's lines may lack every label, and then look like rows.
    if source.path.suffix.lower() == ".manifest":
        shape = "ground-truth"
    tables: dict[str, bool] = {}
    columns = ColumnMapping(mapping)
    typed = False
    empty = True
    for record in records:
        if isinstance(record, RowFault):
            # A workbook of which every sheet was passed over holds no row; any other fault stands for a row.
            empty = empty and record.id == "QD.W005"
            if rejects is not None and record.raw is not None:
                rejects.add(record.raw, [record])
            yield record
            continue
        empty = False
        table = f"{record.place.file}/{record.place.sheet}"
        # A table lacks a column once, not in every row; each sheet and file of a folder is a table.
        if not record.typed and table not in tables:
            wrong = _header_faults(record, mapping)
            tables[table] = not wrong
            yield from wrong
        typed = typed or record.typed
        if tables.get(table, True):
            outcome = list(_row(record, validator, interface, columns, shape, options))
            if rejects is not None and not any(isinstance(part, Row) for part in outcome):
                rejects.add(record, [part for part in outcome if isinstance(part, RowFault)])
            yield from outcome
    # A table tells of its header what it lacks.
    if typed:
        yield from columns.unseen(str(source.path))
    if empty:
        yield fault("QD.E002", Place(str(source.path)))


def _header_faults(record: Record, mapping: Mapping[str, str]) -> list[RowFault]:
    """Columns of a table that are required or mapped and not there."""
    names = record.values.keys()
    there = ", ".join(filter(None, names))
    place = Place(record.place.file, 1, record.place.sheet)
    wrong = [
        fault("QD.E013", place, name=name, column=column, columns=there, field=name)
        for name, column in mapping.items()
        if column and column not in names
    ]
    lacking = [name for name in REQUIRED if name not in names and name not in mapping]
    # A table that another tool wrote has its own columns, which are mapped to ours.
    if lacking and shape_of(record.values) == "row":
        alike = {name.casefold(): name for name in names}
        wrong += [
            fault("QD.E012", place, name=name, columns=there, alike=alike.get(name, "COLUMN"), field=name)
            for name in lacking
        ]
    return wrong


def _row(
    record: Record,
    validator: Validator,
    interface: Interface | None,
    columns: ColumnMapping,
    shape: str | None,
    options: Options,
) -> Iterator[Row | RowFault]:
    if "source-ref" in record.values and not {"source", "response"} & record.values.keys():
        yield fault("QD.E023.reference", record.place, field="source")
        return
    unwrapped = unwrap(record, interface, shape=shape)
    mapped = columns.apply(unwrapped.record)
    if mapped.faults:
        yield from mapped.faults
        return
    for outcome in validator.check(mapped.record, unwrapped.notes):
        before = options.known.get(outcome.row_id) if isinstance(outcome, Row) else None
        if isinstance(outcome, Row) and before is not None and not is_hash_of(before, outcome):
            yield fault("QD.E027", record.place, row_id=outcome.row_id)
        else:
            yield outcome


def write_json(value: Any) -> str:
    """One line of JSON as Quorum writes it: texts readable, separators tight, keys in the order given."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
