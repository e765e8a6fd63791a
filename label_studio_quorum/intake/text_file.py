"""Text files as rows: encodings and delimiters are detected and said; JSONL, JSON, CSV and TSV are read a record at
a time."""

from __future__ import annotations

import codecs
import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

from label_studio_quorum.intake.alphabets import fits_better
from label_studio_quorum.intake.faults import Place, RowFault, fault
from label_studio_quorum.intake.sentences import REST_UNREAD
from label_studio_quorum.intake.tab_separated import plain_rows
from review_rules.errors import PublicError

__all__ = [
    "Record",
    "UnreadableError",
    "decoding",
    "delimiter_of",
    "header_faults",
    "parse_json",
    "read_csv",
    "read_json",
    "read_json_values",
    "read_jsonl",
    "read_tsv",
]

_CHUNK = 1 << 20
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_DELIMITERS = (",", ";", "\t", "|")
_USUAL = ("cp1252", "cp1250", "cp1251", "mac_roman")
_NEAR = 0.025
"""How much more broken (charset-normalizer's `chaos`, 0 to 1) a text may look in a usual encoding."""
csv.field_size_limit(1 << 30)


@dataclass(frozen=True, slots=True)
class Record:
    """One raw record with its place. `typed` is False where every value is text, as in CSV and spreadsheets. `made_of`
    names what Quorum made the id of, where the file gives none: `text` or `task`."""

    values: dict[str, Any]
    place: Place
    typed: bool = True
    made_of: str = ""


class UnreadableError(PublicError):
    """The file as a whole cannot be read; `.fault` says why."""

    def __init__(self, why: RowFault) -> None:
        super().__init__(str(why))
        self.fault = why
        self.faults = (why,)


class _BadJsonError(ValueError):
    """A JSON text breaks a rule that the standard parser lets pass; it carries the sentence and what fills it."""

    def __init__(self, key: str, /, **about: str) -> None:
        super().__init__(key)
        self.key, self.about = key, about


# --- encodings -----------------------------------------------------------------------------------------------------


def decoding(path: Path, wanted: str | None = None) -> tuple[str, RowFault | None]:
    """Tell a text file's encoding: as wanted, by its byte order mark, UTF-8 if every byte agrees, else the best guess
    and a warning.

    Raises UnreadableError (QD.E004) for bytes that are no text.
    """
    # What somebody stated is not guessed at, only checked.
    if wanted:
        _must_decode(path, wanted)
        return wanted, None
    with path.open("rb") as file:
        head = file.read(4)
    for mark, name in _BOMS:
        if head.startswith(mark):
            _must_decode(path, name)
            return name, None
    bad = _first_bad_byte(path, "utf-8")
    return ("utf-8", None) if bad is None else _guess(path, bad)


def _first_bad_byte(path: Path, encoding: str) -> int | None:
    decoder = codecs.getincrementaldecoder(encoding)()
    at = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError as error:
                return at + error.start
            at += len(chunk)
    try:
        decoder.decode(b"", True)
    except UnicodeDecodeError:
        return at
    return None


def _must_decode(path: Path, encoding: str) -> None:
    try:
        bad = _first_bad_byte(path, encoding)
    except LookupError as error:
        raise UnreadableError(fault("QD.E004.name", Place(str(path)), encoding=encoding)) from error
    if bad is not None:
        place = Place(str(path), _line_of(path, bad))
        raise UnreadableError(fault("QD.E004.byte", place, byte=bad, encoding=encoding))


def _line_of(path: Path, byte: int) -> int:
    with path.open("rb") as file:
        return file.read(byte).count(b"\n") + 1


def _guess(path: Path, bad: int) -> tuple[str, RowFault]:
    from charset_normalizer import from_bytes

    with path.open("rb") as file:
        # What surrounds the first odd byte tells more of the encoding than the start of the file, which may be ASCII.
        file.seek(max(0, bad - _CHUNK // 4))
        sample = file.read(_CHUNK // 2)
    place = Place(str(path), _line_of(path, bad))
    likely = [] if b"\0" in sample else _likely(from_bytes(sample), sample)
    fitting = [name for name in likely if _first_bad_byte(path, name) is None]
    if not fitting:
        raise UnreadableError(fault("QD.E004.guess", place, byte=bad))
    key = "QD.W001.several" if fitting[1:] else "QD.W001"
    return fitting[0], fault(key, place, byte=bad, encoding=fitting[0], others=", ".join(fitting[1:4]))


def _likely(guesses: Any, sample: bytes) -> list[str]:
    """The encodings under which a text looks least broken: among those that come near to the best, what Windows and
    its spreadsheets write, then the others as guessed."""
    ranked = list(guesses)
    near = [guess for guess in ranked if guess.chaos <= ranked[0].chaos + _NEAR]
    names = list(dict.fromkeys(name for guess in near for name in (guess.encoding, *guess.could_be_from_charset)))
    names.sort(key=lambda name: _USUAL.index(name) if name in _USUAL else len(_USUAL))
    # Western and Central European texts look equally whole in each other's encoding; their letters tell.
    if names and names[0] in ("cp1252", "cp1250") and (better := fits_better(sample)):
        names = [better, *(name for name in names if name != better)]
    return names


# --- JSON ----------------------------------------------------------------------------------------------------------


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _BadJsonError("QD.E007", key=twice)
    return made


def _constant(name: str) -> Any:
    raise _BadJsonError("QD.E008", value=name)


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _BadJsonError("QD.E008.large", value=text)
    return value


def _int(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:  # more digits than Python reads
        raise _BadJsonError("QD.E008.large", value=f"{text[:12]}… ({len(text):,} digits)") from error


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=_float, parse_int=_int)


def parse_json(text: str, place: Place, *, field: str | None = None, row_id: str | None = None) -> Any | RowFault:
    """Parse one JSON text strictly: no key twice, no NaN. A fault instead of a value where that fails."""
    try:
        return _DECODER.decode(text)
    except _BadJsonError as error:
        return _refused(error, place, field=field, row_id=row_id, raw=text)
    except json.JSONDecodeError as error:
        about = {"character": error.pos + 1, "error": error.msg}
        return fault("QD.E005", place, field=field, row_id=row_id, raw=text, **about)
    except RecursionError:
        return fault("QD.E005.deep", place, field=field, row_id=row_id, raw=text)


def _refused(error: _BadJsonError, place: Place, **where: str | None) -> RowFault:
    """The fault that a stricter rule than the parser's names."""
    about: dict[str, Any] = where | error.about
    return fault(error.key, place, **about)


def _as_record(value: Any, place: Place) -> Record | RowFault:
    if isinstance(value, RowFault):
        return value
    if not isinstance(value, dict):
        return fault("QD.E006", place, type=type(value).__name__, raw=json.dumps(value, ensure_ascii=False))
    return Record(value, place)


def read_jsonl(path: Path, encoding: str) -> Iterator[Record | RowFault]:
    """Read one JSON object a line; blank lines are passed over. Lines end at LF only, since JSON texts may hold
    U+2028."""
    with path.open(encoding=encoding, newline="\n") as file:
        for number, line in enumerate(file, 1):
            if text := line.strip():
                place = Place(str(path), number)
                yield _as_record(parse_json(text, place), place)


def read_json(path: Path, encoding: str) -> Iterator[Record | RowFault]:
    """Read a JSON array of objects, an element at a time; the place of an element is the line on which it begins."""
    with path.open(encoding=encoding, newline="") as file:
        yield from _Array(file, str(path)).elements()


def read_json_values(path: Path, encoding: str) -> Iterator[Record | RowFault]:
    """Read a JSON array of objects, or objects that follow each other over any lines, as `jq .` writes them."""
    with path.open(encoding=encoding, newline="") as file:
        yield from _Array(file, str(path)).values()


class _Array:
    """A JSON array read through a window, so that memory holds one element and not the file."""

    def __init__(self, file: TextIO, name: str) -> None:
        self.file, self.name, self.buffer, self.at, self.line, self.done = file, name, "", 0, 1, False

    def _more(self) -> bool:
        chunk = self.file.read(_CHUNK)
        self.buffer = self.buffer[self.at :] + chunk
        self.at = 0
        self.done = not chunk
        return bool(chunk)

    def _skip(self, characters: str) -> str:
        """Pass over white space and the given characters; give the next one, or an empty string at the end."""
        while True:
            while self.at < len(self.buffer) and self.buffer[self.at] in " \t\r\n\ufeff" + characters:
                self.line += self.buffer[self.at] == "\n"
                self.at += 1
            if self.at < len(self.buffer) or not self._more():
                return self.buffer[self.at : self.at + 1]

    def elements(self) -> Iterator[Record | RowFault]:
        if self._skip("") != "[":
            yield fault("QD.E003.array", Place(self.name, self.line))
            return
        self.at += 1
        while (following := self._skip(",")) != "]":
            place = Place(self.name, self.line)
            if not following:
                yield fault("QD.E005.open", place)
                return
            value = self._element(place)
            yield _as_record(value, place)
            if isinstance(value, RowFault):
                return  # there is no telling where the next element begins

    def values(self) -> Iterator[Record | RowFault]:
        if self._skip("") == "[":
            yield from self.elements()
            return
        while self._skip(""):
            place = Place(self.name, self.line)
            value = self._element(place)
            yield _as_record(value, place)
            if isinstance(value, RowFault):
                return

    def _element(self, place: Place) -> Any:
        while True:
            try:
                value, end = _DECODER.raw_decode(self.buffer, self.at)
            except _BadJsonError as error:
                refused = _refused(error, place)
                return replace(refused, hint=refused.hint + REST_UNREAD)
            except json.JSONDecodeError as error:
                if not self.done and self._more():
                    continue  # the window ended inside the element
                return fault("QD.E005.element", place, error=error.msg)
            except RecursionError:
                return fault("QD.E005.deep", place)
            self.line += self.buffer.count("\n", self.at, end)
            self.at = end
            return value


# --- tables --------------------------------------------------------------------------------------------------------


def delimiter_of(path: Path, encoding: str, wanted: Sequence[str]) -> str:
    """Tell a table's delimiter by its header: the one that yields most of the wanted names, then most columns.

    The texts of a response file are full of commas and semicolons, so that statistics over the body (as `csv.Sniffer`
    has them) mislead.
    """
    with path.open(encoding=encoding, newline="") as file:
        first = file.readline()
        # Excel's own line for the delimiter.
        if first.lower().startswith("sep=") and len(first.strip()) == 5:
            return first.strip()[4]
        head = first + file.read(_CHUNK // 16)

    def score(delimiter: str) -> tuple[int, int]:
        try:
            names = next(csv.reader(head.splitlines(keepends=True), delimiter=delimiter), [])
        except csv.Error:
            return (0, 0)
        return len({name.strip() for name in names} & set(wanted)), len(names)

    return max(_DELIMITERS, key=score)


def header_faults(names: Sequence[str], place: Place) -> list[RowFault]:
    """Faults of a header: a name given twice."""
    twice = sorted({name for name in names if name and names.count(name) > 1})
    return [fault("QD.E011", place, name=name, field=name) for name in twice]


def read_csv(path: Path, encoding: str, delimiter: str) -> Iterator[Record | RowFault]:
    """Read a delimited table with a header; cells are text exactly as they stand, line breaks and control characters
    included."""
    with path.open(encoding=encoding, newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        begin = 1
        names: list[str] | None = None
        while True:
            begin = reader.line_num + 1
            place = Place(str(path), begin)
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield fault("QD.E010", place, error=error)
                return  # after a broken quote there is no telling where the next row begins
            # A blank line, or the line by which Excel is told the delimiter.
            if not cells or (names is None and cells[0].lower().startswith("sep=") and begin == 1):
                continue
            if names is None:
                names = [name.strip() for name in cells]
                if wrong := header_faults(names, place):
                    yield from wrong
                    return
                continue
            yield _csv_record(names, cells, place)


def read_tsv(path: Path, encoding: str, quotes: str) -> Iterator[Record | RowFault]:
    """Read tab-separated values, written as `quotes` says (see `tab_separated`)."""
    if quotes == "csv":
        yield from read_csv(path, encoding, "\t")
        return
    names: list[str] | None = None
    for number, cells in plain_rows(path, encoding, escapes=quotes == "backslash"):
        place = Place(str(path), number)
        if names is not None:
            yield _csv_record(names, cells, place)
            continue
        # The line by which Excel is told the delimiter.
        if number == 1 and cells[0].lower().startswith("sep="):
            continue
        names = [name.strip() for name in cells]
        if wrong := header_faults(names, place):
            yield from wrong
            return


def _csv_record(names: list[str], cells: list[str], place: Place) -> Record | RowFault:
    if len(cells) != len(names):
        return fault("QD.E009", place, cells=len(cells), columns=len(names), raw=(names, cells))
    return Record(dict(zip(names, cells, strict=True)), place, typed=False)


def named_columns(record: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out columns without a name."""
    return {name: value for name, value in record.items() if name}
