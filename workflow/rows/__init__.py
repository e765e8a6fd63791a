"""Rows in: readers for every format that rows come in, and the checks that each row passes before anyone sees it."""

from workflow.rows.faults import KINDS, Place, RowFault
from workflow.rows.reading import Options, load_mapping, open_source, read_rows
from workflow.rows.row import FIELDS, Row, row_hash
from workflow.rows.textfile import UnreadableError

__all__ = [
    "FIELDS",
    "KINDS",
    "Options",
    "Place",
    "Row",
    "RowFault",
    "UnreadableError",
    "load_mapping",
    "open_source",
    "read_rows",
    "row_hash",
]
