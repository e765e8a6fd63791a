"""What can be wrong with a file of rows: every kind has a stable id, a severity and one sentence.

`QD.E…` keeps the row (or the file) out of a campaign; `QD.W…` lets it in and says what to look at. The list in
docs/data.md is made from `KINDS`, what each fault says stands in `sentences.py`, and a test plants each kind once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from dataclasses import field as dataclass_field
from typing import Any, Literal

from label_studio_quorum.intake.sentences import SENTENCES

__all__ = ["KINDS", "Kind", "Place", "RowFault", "fault"]

Severity = Literal["error", "warning"]
_ID_LENGTH = len("QD.E001")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault: stable id, what it means, and in what scope it is looked for."""

    id: str
    title: str
    scope: Literal["file", "row", "auto-label", "table"]

    @property
    def severity(self) -> Severity:
        """`error` keeps the row out, `warning` does not."""
        return "error" if self.id.startswith("QD.E") else "warning"


_KINDS = (
    # The file as such
    Kind("QD.E001", "The file is missing, unreadable, or a folder that holds no data set.", "file"),
    Kind("QD.E002", "The file holds no row.", "file"),
    Kind("QD.E003", "The format is unknown, or the content is not what the name says.", "file"),
    Kind("QD.E004", "The bytes are no text in any encoding that can be told.", "file"),
    Kind("QD.E005", "A line or element is not valid JSON.", "file"),
    Kind("QD.E006", "A line or element is JSON, but not an object.", "file"),
    Kind("QD.E007", "A key is given twice in one JSON object.", "file"),
    Kind("QD.E008", "NaN or Infinity, which JSON does not have.", "file"),
    Kind("QD.E009", "A table row has more or fewer cells than the header.", "file"),
    Kind("QD.E010", "A quote in a CSV file is opened and not closed, or stands in the wrong place.", "file"),
    Kind("QD.E011", "Two columns have the same name.", "file"),
    Kind("QD.E012", "A required column is missing.", "file"),
    Kind("QD.E013", "The column mapping names a column that the file does not have.", "file"),
    Kind("QD.E014", "A spreadsheet cell holds an error value such as #REF!.", "file"),
    Kind("QD.E015", "A spreadsheet cell holds a number of more digits than it keeps, in a column of texts.", "file"),
    Kind("QD.W001", "The text is not UTF-8; the encoding was guessed.", "file"),
    Kind("QD.W002", "A spreadsheet cell holds a formula; its text was taken, not its result.", "file"),
    Kind("QD.W003", "A spreadsheet cell is filled to the limit of 32,767 characters and was probably cut.", "file"),
    Kind("QD.W004", "A spreadsheet turned an entry into a number or a date; it was read back as text.", "file"),
    Kind("QD.W005", "A sheet without the required columns was passed over.", "file"),
    Kind("QD.W006", "A column has content but no name.", "file"),
    Kind("QD.W007", "A file of tab-separated values can be read in two ways; one was taken.", "file"),
    Kind("QD.W008", "A merged cell's text was taken for each row that it spans.", "file"),
    # The row
    Kind("QD.E020", "The row has no id.", "row"),
    Kind("QD.E021", "The id is used twice.", "row"),
    Kind(
        "QD.E022", "The id is no short plain string (type, length, white space at the ends, control characters).", "row"
    ),
    Kind("QD.E023", "A required field is missing or null.", "row"),
    Kind("QD.E024", "A field has the wrong type.", "row"),
    Kind("QD.E025", "The row is too large.", "row"),
    Kind("QD.E026", "A text holds half of a surrogate pair, which no file can carry.", "row"),
    Kind("QD.E027", "The row is known under this id, and its content has changed.", "row"),
    Kind("QD.E028", "A text holds U+0000, which PostgreSQL cannot store.", "row"),
    Kind("QD.E029", "The column mapping names a column or a path that the row does not have.", "row"),
    Kind("QD.W020", "The response is empty.", "row"),
    Kind("QD.W021", "The query is empty.", "row"),
    Kind("QD.W022", "A field is long: screens scroll, and Ground Truth manifests cut at 20,000 characters.", "row"),
    Kind("QD.W023", "The domain is none that the policy knows.", "row"),
    Kind("QD.W024", "A text holds control characters.", "row"),
    Kind("QD.W025", "A text was decoded with the wrong encoding on the way (mojibake or U+FFFD).", "row"),
    Kind("QD.W026", "A text holds invisible characters that change the direction of writing.", "row"),
    Kind("QD.W027", "The response repeats the query or the context word for word.", "row"),
    Kind("QD.W028", "A text holds the word for an empty cell (nan, null, None, #N/A) and nothing else.", "row"),
    Kind("QD.W029", "The response looks cut off: an open code fence, or an end in mid-word at a round length.", "row"),
    # The auto-label
    Kind("QD.E040", "The auto-label is no object keyed by control, or no valid JSON.", "auto-label"),
    Kind("QD.E041", "The auto-label names a control that the interface does not have.", "auto-label"),
    Kind("QD.E042", "A value of the auto-label has the wrong type for its control.", "auto-label"),
    Kind("QD.E043", "A label is none of the interface's.", "auto-label"),
    Kind("QD.E044", "A rating or number is outside its range.", "auto-label"),
    Kind("QD.E045", "A choice is given twice.", "auto-label"),
    Kind("QD.E046", "A span lacks start, end or label, or they have the wrong type.", "auto-label"),
    Kind("QD.E047", "A span is empty or ends before it starts.", "auto-label"),
    Kind("QD.E048", "A span reaches outside the text.", "auto-label"),
    Kind("QD.E049", "A span counts UTF-16 units, not characters.", "auto-label"),
    Kind("QD.E050", "A span counts UTF-8 bytes, not characters.", "auto-label"),
    Kind("QD.E051", "A span's end is inclusive.", "auto-label"),
    Kind("QD.E052", "A span counts tokens, not characters.", "auto-label"),
    Kind(
        "QD.E053",
        "A span was counted on a text that was normalised on the way (line ends, Unicode form, white space, HTML).",
        "auto-label",
    ),
    Kind("QD.E054", "A span's text stands elsewhere in the field, at one place.", "auto-label"),
    Kind("QD.E055", "A span's text stands at several places, and the offsets fit none or more than one.", "auto-label"),
    Kind("QD.E056", "A span's text is not in the field.", "auto-label"),
    Kind("QD.E057", "A span is given twice.", "auto-label"),
    Kind("QD.E058", "A box or segment lacks a part, or reaches outside its range.", "auto-label"),
    Kind("QD.E059", "A part of a prediction does not fit its control (type, key of the value).", "auto-label"),
    Kind("QD.W040", "The auto-label is not for this interface; it is kept as a column and not shown.", "auto-label"),
    Kind(
        "QD.W041",
        "A span carries no text, so its offsets cannot be checked, and the field has "
        "characters that tools count differently.",
        "auto-label",
    ),
    Kind("QD.W042", "A span begins or ends with white space.", "auto-label"),
    Kind(
        "QD.W043",
        "A span cuts a character that people see as one (emoji sequence, letter with its accent).",
        "auto-label",
    ),
    Kind("QD.W044", "Offsets were converted on the way in, as asked.", "auto-label"),
    Kind("QD.W045", "The auto-label lacks a control that the interface requires.", "auto-label"),
    Kind("QD.W046", "A part of another tool's label is not kept (relations, labels without a class).", "auto-label"),
    Kind("QD.W047", "A task has several predictions; one was taken.", "auto-label"),
    Kind("QD.W048", "A label was not taken, because its verification did not call it good.", "auto-label"),
    Kind("QD.W049", "The auto-label violates a rule between fields (a check of the interface).", "auto-label"),
    # The table
    Kind("QD.W060", "Two rows have the same context, query and response.", "table"),
    Kind("QD.W061", "Two rows are nearly the same.", "table"),
    Kind("QD.W062", "The label is written in the text that people judge.", "table"),
    Kind("QD.W063", "A text is not in the expected language.", "table"),
    Kind("QD.W064", "A text holds personal data.", "table"),
    Kind("QD.W065", "A response is far longer than the others.", "table"),
    Kind("QD.W066", "One response stands in many rows.", "table"),
    Kind("QD.W067", "Every auto-label of a control has the same value.", "table"),
    Kind("QD.W068", "A label of the interface never occurs among the auto-labels.", "table"),
    Kind("QD.W069", "A column beside the text tells the answer (gold, label, verdict).", "table"),
    Kind("QD.W070", "Only some rows name a domain.", "table"),
    Kind("QD.W071", "The same query and context are answered in several rows; people may remember the first.", "table"),
)
KINDS: Mapping[str, Kind] = {kind.id: kind for kind in _KINDS}


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands: file, line of a text file or row of a table, sheet, and the column letters of a
    spreadsheet."""

    file: str
    line: int | None = None
    sheet: str | None = None
    letters: Mapping[str, str] | None = None

    def cell(self, field: str | None) -> str | None:
        """Where the file is a spreadsheet: the cell of a field, `Sheet1!C7`, or the whole row, `Sheet1!7:7`."""
        if self.sheet is None or self.line is None:
            return None
        letter = (self.letters or {}).get((field or "").split("[")[0])
        return f"{self.sheet}!{letter}{self.line}" if letter else f"{self.sheet}!{self.line}:{self.line}"


@dataclass(frozen=True, slots=True)
class RowFault:
    """One fault, with the place and a way to cure it. `fix` is an offered value, where one can be told."""

    id: str
    severity: Severity
    file: str
    message: str
    hint: str
    line: int | None = None
    cell: str | None = None
    row_id: str | None = None
    field: str | None = None
    fix: Any = None
    raw: Any = dataclass_field(default=None, repr=False, compare=False)
    """What stood there, where it could not be read as a record: a line, or the cells of a table row."""

    def __str__(self) -> str:
        """One line: id, place, row and field, what is wrong, what to do."""
        where = (
            self.file + (f":{self.line}" if self.line is not None else "") + (f" ({self.cell})" if self.cell else "")
        )
        about = ", ".join(f"{name} {value}" for name, value in (("row", self.row_id), ("field", self.field)) if value)
        text = f"{self.severity} {self.id} {where}{f' [{about}]' if about else ''}: {self.message} {self.hint}".rstrip()
        return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)

    def to_json(self) -> dict[str, Any]:
        """The fault as a JSON object; absent parts are left out."""
        return {key: value for key, value in asdict(self).items() if value is not None and key != "raw"}


def fault(
    key: str,
    place: Place,
    /,
    *,
    row_id: str | None = None,
    field: str | None = None,
    fix: Any = None,
    raw: Any = None,
    **about: object,
) -> RowFault:
    """Make a fault of a registered kind.

    Args:
        key: A key of `SENTENCES`: the kind's id, with a name behind it where the kind has several sentences.
        place: Where it stands.
        row_id: The row, where there is one.
        field: The field or column, with a path into its value.
        fix: An offered value.
        raw: What stood there, where it could not be read as a record.
        about: What the sentence is filled with.

    Raises:
        KeyError: There is no such sentence, or the sentence names something that `about` lacks.

    >>> print(fault("QD.E011", Place("rows.csv", 1), name="query", field="query"))
    error QD.E011 rows.csv:1 [field query]: Two columns are named 'query'. Rename or remove one.
    """
    message, hint = SENTENCES[key]
    kind = KINDS[key[:_ID_LENGTH]]
    return RowFault(
        kind.id,
        kind.severity,
        place.file,
        message.format(**about),
        hint.format(**about),
        place.line,
        place.cell(field),
        row_id,
        field,
        fix,
        raw,
    )
