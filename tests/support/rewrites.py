"""What other programs do to a file that they read and write again: each rewrite changes how a file is written, and
nothing of what it says."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow.parquet as pq
import pytest

Rewrite = Callable[[Path, Path], None]
"""Reads one file and writes another."""


def _lines(source: Path) -> list[Any]:
    return [json.loads(line) for line in source.read_text("utf-8").splitlines()]


def _jsonl(write: Callable[[Any], str]) -> Rewrite:
    """A rewrite of each line."""

    def rewrite(source: Path, target: Path) -> None:
        target.write_text("".join(f"{write(value)}\n" for value in _lines(source)), encoding="utf-8")

    return rewrite


def _json(**style: Any) -> Rewrite:
    """A rewrite of a whole file of JSON."""

    def rewrite(source: Path, target: Path) -> None:
        target.write_text(json.dumps(json.loads(source.read_text("utf-8")), **style), encoding="utf-8")

    return rewrite


def _bytes(change: Callable[[bytes], bytes]) -> Rewrite:
    def rewrite(source: Path, target: Path) -> None:
        target.write_bytes(change(source.read_bytes()))

    return rewrite


def program(name: str) -> str:
    """The path of a program; the test is skipped where it is not there."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"no {name} on this machine")
    return path


def _jq(*arguments: str) -> Rewrite:
    def rewrite(source: Path, target: Path) -> None:
        with target.open("wb") as file:
            subprocess.run([program("jq"), *arguments, source], stdout=file, check=True, timeout=60)

    return rewrite


def _node(script: str) -> Rewrite:
    """A rewrite by JavaScript, with the text of the file as `text`."""

    def rewrite(source: Path, target: Path) -> None:
        read = f"const text = require('fs').readFileSync({json.dumps(str(source))}, 'utf-8');"
        write = f"require('fs').writeFileSync({json.dumps(str(target))}, {script});"
        subprocess.run([program("node"), "-e", read + write], check=True, timeout=60)

    return rewrite


def _frame(read: Callable[[Any, Path], Any], write: Callable[[Any, Path], Any]) -> Rewrite:
    """A rewrite by pandas."""

    def rewrite(source: Path, target: Path) -> None:
        pandas = pytest.importorskip("pandas", reason="needs the extra `stats`")
        write(read(pandas, source), target)

    return rewrite


def _cells(source: Path) -> list[list[str]]:
    with source.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def _csv(encoding: str = "utf-8", columns: Callable[[list[str]], list[int]] | None = None, **style: Any) -> Rewrite:
    """A rewrite by a program with another style of CSV, and other columns first."""

    def rewrite(source: Path, target: Path) -> None:
        rows = _cells(source)
        order = columns(rows[0]) if columns else range(len(rows[0]))
        with target.open("w", encoding=encoding, newline="") as file:
            csv.writer(file, **style).writerows([cells[at] for at in order] for cells in rows)

    return rewrite


def _backwards(names: list[str]) -> list[int]:
    return list(reversed(range(len(names))))


def _openpyxl(source: Path, target: Path) -> None:
    book = openpyxl.load_workbook(source)
    for sheet in book:
        for cells in sheet.iter_rows():
            for cell in cells:
                # The program takes a text that begins with "=" for a formula.
                cell.data_type = "s" if cell.data_type == "f" else cell.data_type
    book.save(target)


def _pandas_workbook(source: Path, target: Path) -> None:
    pandas = pytest.importorskip("pandas", reason="needs the extra `stats`")
    with pandas.ExcelWriter(
        target, engine="xlsxwriter", engine_kwargs={"options": {"strings_to_formulas": False}}
    ) as book:
        for name, frame in pandas.read_excel(source, sheet_name=None, dtype=str, keep_default_na=False).items():
            frame.to_excel(book, sheet_name=name, index=False)


def _libreoffice(form: str, filters: str = "") -> Rewrite:
    """A rewrite by LibreOffice, which opens the file and saves it in the same format."""

    def rewrite(source: Path, target: Path) -> None:
        profile = target.parent / "profile"
        out = target.parent / "out"
        command = [program("soffice"), "--headless", "--norestore", f"-env:UserInstallation={profile.as_uri()}"]
        command += [*([f"--infilter={filters}"] if filters else []), "--convert-to", form, "--outdir", str(out)]
        subprocess.run([*command, str(source)], check=True, capture_output=True, timeout=180)
        shutil.move(out / source.name, target)

    return rewrite


def _parquet(source: Path, target: Path) -> None:
    table = pq.read_table(source)
    pq.write_table(table.select(table.column_names[::-1]), target, compression="snappy", row_group_size=2)


REWRITES: Mapping[str, Mapping[str, Rewrite]] = {
    "jsonl": {
        "keys sorted": _jsonl(lambda value: json.dumps(value, sort_keys=True)),
        "spaces, escapes": _jsonl(json.dumps),
        "over several lines": _jsonl(lambda value: json.dumps(value, indent=2)),
        "CRLF": _bytes(lambda text: text.replace(b"\n", b"\r\n")),
        "byte order mark": _bytes(lambda text: b"\xef\xbb\xbf" + text),
        "blank lines": _bytes(lambda text: b"\n" + text.replace(b"\n", b"\n\n")),
        "jq -c": _jq("-c", "."),
        "jq": _jq("."),
        "jq -s": _jq("-s", "."),
        "jq -S -c": _jq("-S", "-c", "."),
        "node": _node(r"text.trim().split('\n').map(line => JSON.stringify(JSON.parse(line)) + '\n').join('')"),
        "pandas": _frame(
            lambda pandas, path: pandas.read_json(path, lines=True, dtype=False, precise_float=True),
            lambda frame, path: frame.to_json(path, orient="records", lines=True, double_precision=15),
        ),
    },
    "csv": {
        "byte order mark": _bytes(lambda text: b"\xef\xbb\xbf" + text),
        "LF": _csv(lineterminator="\n"),
        "all quoted": _csv(quoting=csv.QUOTE_ALL),
        "semicolons": _csv(delimiter=";"),
        "UTF-16": _csv(encoding="utf-16"),
        "tabs in UTF-16": _csv(encoding="utf-16", delimiter="\t"),
        "columns in another order": _csv(columns=_backwards),
        "pandas": _frame(
            lambda pandas, path: pandas.read_csv(path, keep_default_na=False),
            lambda frame, path: frame.to_csv(path, index=False),
        ),
        "LibreOffice": _libreoffice("csv:Text - txt - csv (StarCalc):44,34,76,1", "CSV:44,34,76,1,,0,true,false"),
    },
    "xlsx": {
        "openpyxl": _openpyxl,
        "pandas": _pandas_workbook,
        "LibreOffice": _libreoffice("xlsx:Calc MS Excel 2007 XML"),
    },
    "parquet": {
        "columns in another order": _parquet,
        "pandas": _frame(
            lambda pandas, path: pandas.read_parquet(path), lambda frame, path: frame.to_parquet(path, index=False)
        ),
    },
    "label-studio": {
        "keys sorted": _json(sort_keys=True),
        "over several lines": _json(indent=2),
        "byte order mark": _bytes(lambda text: b"\xef\xbb\xbf" + text),
        "CRLF": _bytes(lambda text: text.replace(b"\n", b"\r\n")),
        "jq": _jq("."),
        "jq -c": _jq("-c", "."),
        "jq .[]": _jq(".[]"),
        "node": _node("JSON.stringify(JSON.parse(text))"),
        "pandas": _frame(
            lambda pandas, path: pandas.read_json(path, dtype=False, precise_float=True),
            lambda frame, path: frame.to_json(path, orient="records", double_precision=15),
        ),
    },
}
"""Format → what is done to a file → how."""
