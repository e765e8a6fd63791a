"""Parquet files and Hugging Face data set folders as rows, a batch at a time (pyarrow; `datasets` is not needed)."""

from __future__ import annotations

import base64
import datetime
import decimal
import json
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from label_studio_quorum.intake.faults import Place, RowFault, fault
from label_studio_quorum.intake.text_file import Record, UnreadableError

__all__ = ["folder_parts", "read_arrow", "read_parquet", "split_parts"]

_BATCH = 512
_SPLITS = frozenset({"train", "training", "validation", "valid", "val", "dev", "test", "testing", "eval"})


def _plain(value: Any) -> Any:
    """An arrow value as JSON has it: times as ISO text, decimals as written, bytes as text or, where they are none, in
    Base64, NaN as nothing (what a data frame means by it)."""
    # JSON has neither NaN nor infinities; data frames write NaN for an empty cell.
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta | decimal.Decimal):
        return str(value)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return "base64:" + base64.b64encode(value).decode()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        # Arrow gives a struct every key that any row has, so that a key without a value was not in this row.
        return {str(key): _plain(item) for key, item in value.items() if item is not None}
    return value


def _records(batches: Iterable[Any], path: Path) -> Iterator[Record | RowFault]:
    number = 0
    for batch in batches:
        for values in batch.to_pylist():
            number += 1
            row = {name: _plain(value) for name, value in values.items() if not name.startswith("__index_level_")}
            yield Record(row, Place(str(path), number))


def read_parquet(path: Path) -> Iterator[Record | RowFault]:
    """Read a Parquet file; the place of a row is its number, from 1."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    # A file may be damaged anywhere, also behind batches that could be read.
    try:
        with pq.ParquetFile(path) as file:
            yield from _records(file.iter_batches(batch_size=_BATCH), path)
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        raise UnreadableError(fault("QD.E003.parquet", Place(str(path)), error=type(error).__name__)) from error


def read_arrow(path: Path) -> Iterator[Record | RowFault]:
    """Read an Arrow file in stream format (what `save_to_disk` writes) or in file format."""
    import pyarrow as pa

    with pa.memory_map(str(path)) as source:
        try:
            try:
                batches: Iterable[Any] = pa.ipc.open_stream(source)
            except pa.ArrowInvalid:  # the file format, whose index stands at its end
                source.seek(0)
                opened = pa.ipc.open_file(source)
                batches = (opened.get_batch(at) for at in range(opened.num_record_batches))
            small = (batch.slice(at, _BATCH) for batch in batches for at in range(0, batch.num_rows, _BATCH))
            yield from _records(small, path)
        except (pa.ArrowException, UnicodeDecodeError) as error:
            raise UnreadableError(fault("QD.E003.arrow", Place(str(path)), error=type(error).__name__)) from error


_SHARD = re.compile(r"^(.+?)(?:-\d{5}-of-\d{5})?$")


def split_parts(folder: Path) -> list[tuple[Path, str | None]]:
    """The data files of a folder, each with its split where there are several: the folder that `save_to_disk` made for
    it, or what the name of a file of the Hub begins with (`train-00000-of-00002.parquet`)."""
    parts = folder_parts(folder)
    # `save_to_disk` names splits by folders, the Hub by the beginnings of file names.
    if (folder / "dataset_dict.json").is_file():
        splits = [part.parent.name for part in parts]
    else:
        splits = [str(_SHARD.sub(r"\1", part.stem)) for part in parts]
    several = len(set(splits)) > 1 and set(splits) <= _SPLITS
    return [(part, split if several else None) for part, split in zip(parts, splits, strict=True)]


def folder_parts(folder: Path) -> list[Path]:
    """The data files of a Hugging Face folder, in order: what `save_to_disk` wrote (one data set or several splits),
    or Parquet, JSONL and CSV.

    Raises UnreadableError (QD.E001) for a folder without any.
    """
    state = folder / "state.json"
    try:
        if state.is_file():
            return [folder / part["filename"] for part in json.loads(state.read_text("utf-8"))["_data_files"]]
        if (folder / "dataset_dict.json").is_file():
            splits = json.loads((folder / "dataset_dict.json").read_text("utf-8"))["splits"]
            return [part for split in splits for part in folder_parts(folder / split)]
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableError(fault("QD.E001.folder", Place(str(folder)))) from error
    for suffix in (".parquet", ".arrow", ".jsonl", ".csv"):
        if parts := sorted(path for path in folder.rglob(f"*{suffix}") if not path.name.startswith(".")):
            return parts
    raise UnreadableError(fault("QD.E001.folder", Place(str(folder))))
