"""Rows in: readers for every format that rows come in, and the checks that each row passes before anyone sees it."""

from label_studio_quorum.intake.faults import KINDS, Place, RowFault
from label_studio_quorum.intake.reading import Options, load_mapping, open_source, read_rows
from label_studio_quorum.intake.row import FIELDS, Row, is_hash_of, row_hash
from label_studio_quorum.intake.text_file import UnreadableError

__all__ = [
    "FIELDS",
    "KINDS",
    "Options",
    "Place",
    "Row",
    "RowFault",
    "UnreadableError",
    "is_hash_of",
    "load_mapping",
    "open_source",
    "read_rows",
    "row_hash",
]
