"""What each fault says: the message (what is wrong) and the hint (what to do), as templates that the checks fill in.

A key is the id of a kind of fault, with a name behind it where one kind has several sentences. The checks hold no
text of their own, so that this page is all that has to be read to know what people read.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["REST_UNREAD", "SENTENCES"]

REST_UNREAD = " What follows was not read."
"""Added to the hint of a fault inside a JSON array, after which there is no telling where the next element begins."""

_AS_EXPORTED = "Verify the file as it was exported."
_MEND_LINE = "Mend the line; each must hold one whole JSON object."
_WRITE_NULL = "Write null, or leave the key out."
_WRITE_OBJECT = 'Write an object keyed by control, such as {{"verdict":"Correct"}}.'
_ONE_OBJECT = "The file is one JSON object, no array of rows."
_NO_SHEET = "The workbook has no sheet '{sheet}'."
_CONVERT = "Take the offered span, or convert all with --offsets detect."
_ELSEWHERE = ": {start}–{end} is {right_start}–{right_end} in characters."
_COUNTS = "The span counts {reading}" + _ELSEWHERE
_SHOWN_TO_NOBODY = "It is kept as a column and not shown to anyone."

SENTENCES: Mapping[str, tuple[str, str]] = {
    # The file as such
    "QD.E001.missing": ("The file does not exist.", "Check the path."),
    "QD.E001.sheet": (_NO_SHEET, "It has: {sheets}."),
    "QD.E001.own_sheet": (_NO_SHEET, "Take the file as it was exported."),
    "QD.E001.folder": (
        "The folder holds no data set.",
        "Expected state.json and .arrow files, or .parquet, .jsonl or .csv files.",
    ),
    "QD.E002": (
        "The file holds no row.",
        "Check that it is the right file, and that its first line names the columns.",
    ),
    "QD.E003.format": ("'{format}' is no format of rows.", "Known: {formats}."),
    "QD.E003.delimiter": (
        "'{delimiter}' is no delimiter.",
        "Name one character, such as ';', or '\\t' for a tab; a quote and a line end cannot be one.",
    ),
    "QD.E003.ending": ("The ending '{ending}' tells no format.", "Name it with --format, or use one of {endings}."),
    "QD.E003.gzip": ("The file is compressed (gzip).", "Unpack it first: gunzip -k FILE."),
    "QD.E003.xz": ("The file is compressed (xz).", "Unpack it first: unxz -k FILE."),
    "QD.E003.zstd": ("The file is compressed (zstd).", "Unpack it first: unzstd FILE."),
    "QD.E003.old_workbook": (
        "The file is an old or password-protected workbook.",
        "Save it as .xlsx without a password, or as CSV.",
    ),
    "QD.E003.content": (
        "The file is a {content}, not {format}.",
        "Give it the right ending, or name its --format.",
    ),
    "QD.E003.wrapped": (_ONE_OBJECT, "Take the array out of it: jq '.{key}' FILE > rows.json."),
    "QD.E003.object": (_ONE_OBJECT, "Write [ {{…}}, {{…}} ]."),
    "QD.E003.array": ("The file is no JSON array.", "Write [ {{…}}, {{…}} ], or one object a line as .jsonl."),
    "QD.E003.parquet": ("The file is no Parquet file ({error}).", "Write it again."),
    "QD.E003.arrow": ("The file is no Arrow file ({error}).", "Write it again."),
    "QD.E003.bomb": (
        "The workbook's part {part} would unpack from {packed} to {unpacked} bytes, as no text of people does.",
        "Save the rows anew in a spreadsheet program, or as CSV.",
    ),
    "QD.E003.workbook": ("The file is no XLSX workbook ({error}).", "Save it as .xlsx, or as CSV."),
    # Exports that are read again to be proven
    "QD.E002.export": ("The file carries no records.", "Formats that do: {formats}."),
    "QD.E003.record": ("The line is no full record.", "Formats that carry them: {formats}."),
    "QD.E003.column": ("The column {column} is not there.", _AS_EXPORTED),
    "QD.E003.cell": (
        "The cell '{name}' says other than the record beside it.",
        "Somebody changed it after the export; take the record's value, or export again.",
    ),
    "QD.E003.no_record": ("The cell of the column {column} is empty.", _AS_EXPORTED),
    "QD.E003.damaged": ("The record is damaged: {part} is not what a record has there.", _AS_EXPORTED),
    "QD.E003.no_column": ("The column '{name}' is not there, and the record has a value for it.", _AS_EXPORTED),
    "QD.E003.made_up": ("No record stands behind this row of the sheet.", _AS_EXPORTED),
    "QD.E003.lacking": ("The sheet '{sheet}' does not show this record.", _AS_EXPORTED),
    "QD.E003.figures": ("The sheet '{sheet}' does not say what the records say.", _AS_EXPORTED),
    "QD.E003.sheet": ("The sheet '{sheet}' is none of an export's.", "Take it out; nothing proves it."),
    "QD.E003.piece": ("The cell '{name}' of this piece of a record is not its {name}.", _AS_EXPORTED),
    "QD.E003.order": (
        "The sheet of rows does not list the rows of the sheet of records, in their order.",
        _AS_EXPORTED,
    ),
    "QD.E003.task": ("The task carries no record.", "Verify a file that Quorum exported."),
    "QD.E003.task_digest": ("The task is not as it was exported, in a part that no record repeats.", _AS_EXPORTED),
    "QD.E003.task_field": ("The task's '{name}' is other than the record's.", _AS_EXPORTED),
    # The text of the file
    "QD.E004.name": ("'{encoding}' is no known encoding.", "Name one that Python knows, such as utf-8 or cp1252."),
    "QD.E004.byte": ("Byte {byte} is not {encoding}.", "Save the file as UTF-8."),
    "QD.E004.guess": (
        "Byte {byte} is not UTF-8, and no other encoding fits the whole file.",
        "Save the file as UTF-8, or name its --encoding.",
    ),
    "QD.E005": ("Not valid JSON at character {character}: {error}.", _MEND_LINE),
    "QD.E005.deep": ("The JSON is nested too deeply.", _MEND_LINE),
    "QD.E005.element": ("Not valid JSON: {error}.", "Mend the element; what follows was not read."),
    "QD.E005.open": ("The array is not closed.", "The file was probably cut; write it again."),
    "QD.E006": (
        "A {type} stands where an object should.",
        'Write an object such as {{"id": …, "context": …, "query": …, "response": …}}.',
    ),
    "QD.E007": ("The key '{key}' is given twice.", "Leave one of the two."),
    "QD.E008": ("{value} is not JSON.", _WRITE_NULL),
    "QD.E008.large": ("{value} is too large for a number.", _WRITE_NULL),
    "QD.E009": (
        "The row has {cells} cells, the header {columns}.",
        "Quote cells that hold the delimiter or a line break.",
    ),
    "QD.E010": (
        "The row that begins here breaks the rules of CSV ({error}).",
        'Double each quote inside a quoted cell (""), and close what is opened; what follows was not read.',
    ),
    "QD.E011": ("Two columns are named '{name}'.", "Rename or remove one."),
    "QD.E012": (
        "The column '{name}' is missing.",
        "Columns of the first row: {columns}. Map it: --map {name}={alike} (--map {name}= for none).",
    ),
    "QD.E013": (
        "The mapping takes '{name}' from a column '{column}', which is not there.",
        "Columns: {columns}.",
    ),
    "QD.E014": ("The cell holds an error value, not a text.", "Mend the formula, or paste the text."),
    "QD.E015": (
        "A number cell holds {value}; a spreadsheet keeps 15 digits of a number, and the others are lost.",
        "Format the column as text and enter the value again, or take the row from CSV or JSONL.",
    ),
    "QD.W001": (
        "Byte {byte} is not UTF-8; the file is read as {encoding}.",
        "Look at the accents; give --encoding to settle it, or save as UTF-8.",
    ),
    "QD.W001.several": (
        "Byte {byte} is not UTF-8; the file is read as {encoding} ({others} would fit too).",
        "Look at the accents; give --encoding to settle it, or save as UTF-8.",
    ),
    "QD.W002": (
        "The cell holds a formula; its text is taken as it stands.",
        "Paste values if the result was meant.",
    ),
    "QD.W003": (
        "The cell is filled to the limit of a spreadsheet and was probably cut.",
        "Take the row from CSV or JSONL instead.",
    ),
    "QD.W004": (
        "The spreadsheet holds a number or date here; it is read back as text.",
        "Format the column as text before typing, so that 007 stays 007.",
    ),
    "QD.W004.digits": (
        "A number cell holds {value}; a spreadsheet keeps 15 digits of a number, and the others are lost.",
        "Format the column as text and enter the values again, if they are no quantities.",
    ),
    "QD.W005": (
        "Sheet '{sheet}' has no column {columns}; passed over.",
        "Name the columns in its first row if it holds rows.",
    ),
    "QD.W006": ("A column without a name has content; it is left out.", "Give it a name in the header."),
    "QD.W007.csv": (
        "Cells in quotes are read as a spreadsheet writes them: the quotes around them are no part of the text.",
        "If they are, give --quotes none; --quotes csv settles it as it is.",
    ),
    "QD.W007.none": (
        "Cells in quotes are read as they stand, quotes included, since none of them had to be quoted.",
        "If the quotes are no part of the texts, give --quotes csv; --quotes none settles it as it is.",
    ),
    "QD.W007.backslash": (
        "Every backslash of the file could be an escape of a database, such as \\n; they are kept as they stand.",
        "If they are escapes, give --quotes backslash; --quotes none settles it as it is.",
    ),
    "QD.W008": (
        "The cells {range} are merged; their text is taken for each of these rows.",
        "Unmerge them and fill in the texts if that is not meant.",
    ),
    # The row
    "QD.E020": ("The row has no id.", "Give each row a short id of its own that never changes."),
    "QD.E021": ("The id is used twice{first}.", "Give one of the two another id, or remove it."),
    "QD.E021.text": (
        "The text was there before{first}, and a line without a key 'id' is known by its text.",
        "Leave one of the two out, or give each a key 'id' of its own.",
    ),
    "QD.E021.task": (
        "The number of the task was there before{first}, and a task without a row_id in its data is known by it.",
        "Leave one of the two out, or give each a row_id in its data.",
    ),
    "QD.E022.type": ("The id is a {type}, not a string.", "Write it in quotes."),
    "QD.E022.long": ("The id is longer than {limit} characters.", "Use a short plain id."),
    "QD.E022.characters": (
        "The id is with white space at an end, or with control characters.",
        "Use a short plain id.",
    ),
    "QD.E023": (
        "The field '{name}' is missing.",
        "Add it, or map it (--map {name}=COLUMN; --map {name}= for none).",
    ),
    "QD.E023.null": ("The field '{name}' is null.", 'Write the text; "" if it is really empty.'),
    "QD.E023.reference": (
        "The line points to a file (source-ref), and only texts that stand in the line are read.",
        "Put the text under 'source'.",
    ),
    "QD.E024": ("The field '{name}' is a {type}, not a text.", "Write it as one string."),
    "QD.E024.domain": ("The domain is a {type}, not a text.", "Write one domain's name."),
    "QD.E025": (
        "The row has {characters:,} characters; the limit is {limit:,}.",
        "Cut the context to what people need, or raise --max-chars.",
    ),
    "QD.E026": (
        "Character {character} is half of a surrogate pair.",
        "Write the whole character; a program cut the text in the middle of an emoji.",
    ),
    "QD.E027": (
        "The row is known under this id, and its content has changed.",
        "Give it a new id, or say quorum import --update.",
    ),
    "QD.E028": (
        "Character {character} is U+0000, which PostgreSQL cannot store.",
        "Take it out, or write what it stands for; a program left it there.",
    ),
    "QD.E029": (
        "The mapping takes '{name}' from '{path}', and {holder} has no '{key}'.",
        "It has: {known}.",
    ),
    "QD.E029.type": (
        "The mapping takes '{name}' from '{path}', and {holder} is a {type}, into which no path leads.",
        "Name a path of objects and lists, such as inputs.question or messages.0.content.",
    ),
    "QD.W020": (
        "The response is empty.",
        "Keep it if an empty answer is to be judged; else leave the row out.",
    ),
    "QD.W021": ("The query is empty.", "People will judge the response without a question."),
    "QD.W022": ("The {name} has {characters:,} characters.", "Cut it to what people need to read."),
    "QD.W023": ("The policy knows no domain '{domain}'; it is kept and has no effect.", "Known: {known}."),
    "QD.W024": ("Character {character} is U+{code:04X}.", "It is kept; most screens show nothing for it."),
    "QD.W025": (
        "At character {character} the text looks wrongly decoded.",
        "Export the file again as UTF-8.",
    ),
    "QD.W026": (
        "Character {character} is U+{code:04X}, which is invisible and turns the writing around.",
        "Make sure that people see what a program reads.",
    ),
    "QD.W027": ("The response is the {other}, word for word.", "Look whether columns were mixed up."),
    "QD.W028": (
        "The {name} is the word '{word}'.",
        "A program wrote it for an empty cell; leave it empty.",
    ),
    "QD.W029": (
        "The response looks cut off.",
        "Raise the token limit of the model that wrote it, or leave the row out.",
    ),
    # The auto-label
    "QD.E040": ("The auto-label is a {type}, not an object.", _WRITE_OBJECT),
    "QD.E040.json": ("{error}", 'Write one JSON object, such as {{"verdict":"Correct"}}.'),
    "QD.E040.text": (
        "The auto-label is a bare text; it is a label of {controls}.",
        "Write an object keyed by control.",
    ),
    "QD.E040.disagree": ("auto_label and {column} disagree.", "Leave one of the two."),
    "QD.E041": ("The interface has no control '{name}'.", "It has: {controls}."),
    "QD.E041.near": ("The interface has no control '{name}'.", "Did you mean '{near}'?"),
    "QD.E042.label": (
        "A {type} stands where a label should.",
        "Write the label's stored value as a string.",
    ),
    "QD.E042.choice": ("A list stands where '{control}' takes one label.", "Write the label itself."),
    "QD.E042.choices": ("'{control}' takes a list of labels, not a {type}.", "Write a list."),
    "QD.E042.rating": (
        "'{control}' takes a whole number, not {value}.",
        "Write the number without quotes.",
    ),
    "QD.E042.number": ("'{control}' takes a number, not {value}.", "Write the number without quotes."),
    "QD.E042.text": ("'{control}' takes a text, not a {type}.", "Write a string."),
    "QD.E042.regions": ("'{control}' takes a list of {kind}.", "Write a list of objects."),
    "QD.E042.spans": (
        "'{control}' takes a list of spans, not a {type}.",
        'Write [{{"start":0,"end":4,"label":"…","text":"…"}}].',
    ),
    "QD.E043": ("'{label}' is no label of '{control}'.", "Known: {known}."),
    "QD.E043.near": ("'{label}' is no label of '{control}'.", "Did you mean '{near}'?"),
    "QD.E044": ("{value} is outside {low}–{high}.", "Scale it to the range of the interface."),
    "QD.E045": ("A choice is given twice.", "Name each once."),
    "QD.E046": ("The span lacks start, end or label.", 'Write {{"start":0,"end":4,"label":"…"}}.'),
    "QD.E046.type": ("start and end must be whole numbers, and text a string.", ""),
    "QD.E047": (
        "The span {start}–{end} is empty.",
        "Offsets are half-open: the end is the position after the last character.",
    ),
    "QD.E048": (
        "The span {start}–{end} reaches outside the text (0–{length}).",
        "Offsets count characters of the field as imported; let spans carry their text, "
        "and the right ones can be offered.",
    ),
    "QD.E049": (_COUNTS, _CONVERT),
    "QD.E050": (_COUNTS, _CONVERT),
    "QD.E051": (_COUNTS, _CONVERT),
    "QD.E052": (_COUNTS, _CONVERT),
    "QD.E053": ("The span fits a changed text ({reading})" + _ELSEWHERE, _CONVERT),
    "QD.E054": ("The span's text stands elsewhere" + _ELSEWHERE, _CONVERT),
    "QD.E055": (
        "The span's text stands at several places ({places}), and the offsets do not tell which.",
        "Choose one of the offered spans.",
    ),
    "QD.E056": (
        "The span's text is not in the field.",
        "The text was changed after labelling; label it again, or import the text that was labelled.",
    ),
    "QD.E057": ("The span {start}–{end} {label} is given twice.", "Leave one."),
    "QD.E058.boxes": ("{parts} are missing or out of range.", "Percent of the image, 0–100."),
    "QD.E058.segments": ("{parts} are missing or out of range.", "Seconds, start before end."),
    "QD.E059.type": (
        "'{control}' takes a result of type '{wanted}', not '{type}'.",
        "Write the type of the control in the interface.",
    ),
    "QD.E059.key": (
        "'{control}' takes its value under '{wanted}', and the result has {keys}.",
        "Write the value under '{wanted}'.",
    ),
    "QD.E059.item": (
        "A result is no object with from_name and value.",
        'Write {{"from_name":…,"type":…,"value":{{…}}}}.',
    ),
    "QD.E059": ("{problem}.", "Mend the prediction, or leave that part out."),
    "QD.W040": ("The auto-label's keys ({names}) are no controls of this interface.", _SHOWN_TO_NOBODY),
    "QD.W040.text": ("The auto-label is a bare text, and no label of this interface.", _SHOWN_TO_NOBODY),
    "QD.W041": (
        "The span carries no text and stands after characters that other tools count as two.",
        "Add text to the spans, or say what they count (--offsets).",
    ),
    "QD.W042": ("The span begins or ends with white space.", "Trim it; people will mark it without."),
    "QD.W043": ("The span cuts a character that people see as one.", "Extend it to the whole character."),
    "QD.W044": ("{wrong}", "Converted, as asked."),
    "QD.W045": (
        "The auto-label lacks {controls}, which people must fill in.",
        "Nothing to do if that is meant.",
    ),
    "QD.W046": ("{problem}.", "Nothing to do if people need not see it."),
    "QD.W046.class": (
        "The label attribute '{name}' has no {lacking}; it is kept as a column and shown to nobody.",
        "Take the manifest as the labelling job wrote it.",
    ),
    "QD.W046.control": (
        "The label attribute '{name}' ({type}) is of no control that can be told; it is kept as a column, here and in "
        "each line.",
        "Name the attribute like the control if people should see it.",
    ),
    "QD.W047": (
        "Of {count} predictions that of {taken} is taken: {rule}; so it is with every task of the file.",
        "Leave the others out of the file if another is meant.",
    ),
    "QD.W048": (
        "The label '{name}' is not taken: '{verification}' calls it '{verdict}'.",
        "Nothing to do; the row is shown without it.",
    ),
    "QD.W049.warn": (
        "What it says of {fields} violates a check: '{say}'.",
        "People are told so on the screen; mend it if it is wrong.",
    ),
    "QD.W049.block": (
        "What it says of {fields} violates a check: '{say}'.",
        "Nobody can submit it as it stands; mend it if a model should not lead people astray.",
    ),
    # The table
    "QD.W060": ("The row has the same texts as row {other}.", "Leave one out, or people label it twice."),
    "QD.W061": (
        "Query and response are about {share:.0%} the same as those of row {other}.",
        "Look whether both are needed.",
    ),
    "QD.W062": ("At character {character} the {name} says '{words}'.", "Cut it out, or people copy it."),
    "QD.W063": (
        "The response reads as '{language}', not '{expected}'.",
        "Make sure that those who label it can read it.",
    ),
    "QD.W064": ("The {name} holds {kinds}.", "Mask it (quorum check --pii mask), or make sure that you may show it."),
    "QD.W065": (
        "The response has {characters:,} characters; half of the rows have at most {middle:,.0f}.",
        "Look whether several answers ran together.",
    ),
    "QD.W066": (
        "The same response stands in {rows} rows.",
        "A fixed refusal, or a copying mistake? Label it once.",
    ),
    "QD.W067": ("All {rows} auto-labels are '{value}'.", "A constant tells people nothing, and they will follow it."),
    "QD.W068": ("No auto-label is {labels}.", "Look whether the model that wrote them knows these labels."),
    "QD.W069": (
        "The column '{name}' looks like the answer.",
        "It is kept and shown to nobody; keep it out of the texts too.",
    ),
    "QD.W070": (
        "{unnamed} of {rows} rows name no domain.",
        "Without one, an expert is asked only if a reviewer or the router says so.",
    ),
    "QD.W071": (
        "{shared} questions (same context and query) are answered in several rows.",
        "People may remember the first answer; spread such rows.",
    ),
}
