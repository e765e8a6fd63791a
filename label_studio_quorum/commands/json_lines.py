"""Read and write JSON lines as streams: one object a line, a bad line named and the rest not held up by it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO, Any

import orjson

from review_rules.errors import PublicError


class BadLine(PublicError, ValueError):
    """A line that is not JSON."""


def numbered_lines(stream: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """The lines of a stream that are not blank, numbered from 1; a byte order mark before the first is dropped."""
    for number, line in enumerate(stream, start=1):
        text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        # Editors and shells leave blank lines; their numbers count all the same.
        if not text.isspace():
            yield number, text


def loads(line: bytes) -> Any:
    """The value of one line of JSON.

    NaN, infinities, lone surrogates and integers of any size are read as Python reads them, so that one odd value
    makes a finding where it stands instead of losing the line.

    Raises:
        BadLine: the line is not JSON in UTF-8, or nested too deeply to be read.
    """
    # orjson is the faster and stricter of the two; what it refuses is read again as Python reads it.
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(line.decode("utf-8"))
    except json.JSONDecodeError as error:
        raise BadLine(f"this is not JSON: {error.msg} at column {error.colno}") from error
    except UnicodeDecodeError as error:
        raise BadLine(f"this is not UTF-8: byte {error.start + 1} of the line is wrong") from error
    except (RecursionError, ValueError) as error:
        raise BadLine("this JSON is nested too deeply, or holds a number too long to be read") from error


def dumps(value: Any) -> bytes:
    """One line of JSON with its line end; valid UTF-8 whatever the strings hold."""
    try:
        return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # an integer of more than 64 bits or a lone surrogate
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode() + b"\n"
