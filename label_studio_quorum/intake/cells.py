"""A row's columns as cells of a table, and back, so that nothing about them is lost.

A table has only text and empty cells. Which cells stood for null, for an empty text, for JSON or had CRLF line ends
is noted, a row at a time, in the column `quorum.cells`, so that sorting, deleting and editing rows in a spreadsheet
leaves the notes right.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["NOTE", "OWN_PREFIX", "add_to_note", "decode", "encode", "is_crlf", "spell"]

OWN_PREFIX = "quorum."
"""Columns that Quorum's own tables add beside the row's; they are no content of rows."""

NOTE = OWN_PREFIX + "cells"
_ALWAYS_TEXT = frozenset({"id", "context", "query", "response"})


def spell(value: Any) -> str:
    """A value as one cell: texts as they are, nothing as an empty cell, all else as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def encode(row: Mapping[str, Any], columns: Iterable[str]) -> tuple[dict[str, str], str]:
    """A row's cells, and the note that tells how to read them (empty for a row of plain texts).

    >>> encode({"id": "r1", "response": "", "tags": ["a"], "n": None}, ["id", "response", "tags", "n", "other"])[1]
    '{"json":["tags"],"null":["n"]}'
    """
    cells: dict[str, str] = {}
    note: dict[str, list[str]] = {"json": [], "null": [], "empty": [], "crlf": []}
    for name in columns:
        cells[name] = spell(row.get(name))
        # Another row of the table has the column; here the cell is empty and stands for nothing.
        if name not in row:
            continue
        value = row[name]
        if value is None:
            note["null"].append(name)
        elif not isinstance(value, str):
            note["json"].append(name)
        elif value == "" and name not in _ALWAYS_TEXT:
            note["empty"].append(name)
        elif is_crlf(value):
            note["crlf"].append(name)
    kept = {kind: names for kind, names in note.items() if names}
    return cells, spell(kept) if kept else ""


def is_crlf(text: str) -> bool:
    """Whether every line ends with CRLF; spreadsheets write LF instead, which would move every span behind it."""
    return "\r\n" in text and text.count("\r\n") == text.count("\n") == text.count("\r")


def add_to_note(note: str, kind: str, names: list[str]) -> str:
    """The note with one more kind of cells; `guarded` cells begin with an apostrophe that is no part of the text."""
    return spell({**_note(note), kind: names}) if names else note


def decode(cells: Mapping[str, Any]) -> dict[str, Any]:
    """The row that cells stand for; columns of Quorum's own are left out. A table without the note is taken as it
    stands.

    >>> decode({"id": "r1", "tags": '["a"]', "quorum.cells": '{"json":["tags"]}', "quorum.state": "FINAL"})
    {'id': 'r1', 'tags': ['a']}
    """
    row = {name: value for name, value in cells.items() if not name.startswith(OWN_PREFIX)}
    # A table that Quorum did not write, or whose note somebody removed.
    if NOTE not in cells:
        return row
    note = _note(cells[NOTE])
    kinds = ("null", "empty", "json", "guarded", "crlf")
    nulls, empties, jsons, guarded, crlf = (frozenset(note.get(kind, ())) for kind in kinds)
    made: dict[str, Any] = {}
    for name, value in row.items():
        if value is None or value == "":
            if name in _ALWAYS_TEXT or name in empties:
                made[name] = ""
            elif name in nulls:
                made[name] = None
        else:
            value = value.removeprefix("'") if name in guarded and isinstance(value, str) else value
            # Where the spreadsheet kept CRLF there is nothing to put back.
            if name in crlf and isinstance(value, str) and "\r" not in value:
                value = value.replace("\n", "\r\n")
            made[name] = _parsed(value) if name in jsons and isinstance(value, str) else value
    return made


def _note(text: Any) -> Mapping[str, list[str]]:
    try:
        note = json.loads(text) if text else {}
    except (TypeError, ValueError):
        return {}  # somebody edited the note: cells are then taken as plain texts
    return note if isinstance(note, dict) else {}


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text  # edited by hand into something else
