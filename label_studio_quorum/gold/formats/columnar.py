"""Parquet and Hugging Face folders: typed columns for training, and the whole record as JSON for proof."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from label_studio_quorum.gold.spool import RecordShape, Spool
from label_studio_quorum.intake.cells import NOTE, OWN_PREFIX, encode

__all__ = ["write_folder", "write_parquet"]

_BATCH = 1000
_SCALARS = {
    frozenset({"str"}): "string",
    frozenset({"int"}): "int64",
    frozenset({"float"}): "float64",
    frozenset({"bool"}): "bool_",
}


def _field_type(kind: str) -> Any:
    import pyarrow as pa

    text, number, whole = pa.string(), pa.float64(), pa.int64()
    match kind:
        case "choice" | "text":
            return text
        case "choices":
            return pa.list_(text)
        case "rating":
            return whole
        case "number":
            return number
        case "spans":
            # Offsets are whole numbers; seconds and percentages, below, are not.
            return pa.list_(pa.struct([("start", whole), ("end", whole), ("label", text), ("text", text)]))
        case "boxes":
            return pa.list_(
                pa.struct([("x", number), ("y", number), ("width", number), ("height", number), ("label", text)])
            )
        case "segments":
            return pa.list_(pa.struct([("start", number), ("end", number), ("label", text)]))
        # A kind that is newer than this table goes out as JSON text, and is not lost.
        case _:
            return text


def _schema(shape: RecordShape, features: bool) -> Any:
    import pyarrow as pa

    columns = [(name, getattr(pa, _scalar(shape, name))()) for name in shape.ordered_columns()]
    columns += [(NOTE, pa.string()), (OWN_PREFIX + "gold", pa.bool_()), (OWN_PREFIX + "state", pa.string())]
    for name, kind in shape.fields.items():
        columns += [(f"{OWN_PREFIX}final.{name}", _field_type(kind)), (f"{OWN_PREFIX}origin.{name}", pa.string())]
    columns += [(OWN_PREFIX + "reviewers", pa.list_(pa.string())), (OWN_PREFIX + "record", pa.string())]
    schema = pa.schema(columns)
    if features:
        description = {"info": {"features": {name: _feature(schema.field(name).type) for name in schema.names}}}
        schema = schema.with_metadata({"huggingface": json.dumps(description)})
    return schema


def _scalar(shape: RecordShape, name: str) -> str:
    """A column keeps its type where all rows agree on one; else its values are spelled as JSON, and noted so."""
    return _SCALARS.get(frozenset(shape.columns[name] - {"NoneType"}), "string")


def _feature(kind: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_list(kind):
        inner = _feature(kind.value_type)
        # `datasets` names a list of plain values, and writes a list of structures as a list with one element.
        return {"feature": inner, "_type": "List"} if isinstance(inner, dict) and "_type" in inner else [inner]
    if pa.types.is_struct(kind):
        return {part.name: _feature(part.type) for part in kind}
    name = {"double": "float64"}.get(str(kind), str(kind))
    return {"dtype": name, "_type": "Value"}


def _values(record: Mapping[str, Any], line: str, shape: RecordShape) -> dict[str, Any]:
    row = record["row"]
    typed = {name for name in shape.columns if _scalar(shape, name) != "string"}
    texts, note = encode(
        {name: value for name, value in row.items() if name not in typed or value is None}, shape.columns
    )
    # An empty text is a value, and not the same as a column that the row lacks.
    cells: dict[str, Any] = {name: text if text or row.get(name) == "" else None for name, text in texts.items()}
    cells |= {name: row[name] for name in typed if row.get(name) is not None}
    certificate = record.get("certificate") or {}
    # A row that is not final has no certificate, and so no reviewers to name.
    people = [*certificate.get("passes", ()), certificate.get("qa"), *certificate.get("expert", ())]
    cells |= {
        NOTE: note or None,
        OWN_PREFIX + "gold": record["gold"],
        OWN_PREFIX + "state": record.get("state"),
        OWN_PREFIX + "reviewers": [str(who) for who in people if who],
        OWN_PREFIX + "record": line,
    }
    for name, label in ((record.get("final") or {}).get("values") or {}).items():
        cells[f"{OWN_PREFIX}final.{name}"] = _final(shape.fields.get(name, ""), label.get("value"))
        cells[f"{OWN_PREFIX}origin.{name}"] = label.get("origin")
    return cells


def _final(kind: str, value: Any) -> Any:
    if kind == "number" and value is not None:
        return float(value)
    return (
        value
        if kind in ("choice", "choices", "text", "rating", "spans", "boxes", "segments") or value is None
        else json.dumps(value)
    )


def _batches(spool: Spool, schema: Any) -> Iterator[Any]:
    import pyarrow as pa

    batch: list[dict[str, Any]] = []
    for line in spool.lines():
        batch.append(_values(json.loads(line), line, spool.shape))
        if len(batch) == _BATCH:
            yield pa.RecordBatch.from_pylist(batch, schema=schema)
            batch = []
    if batch:
        yield pa.RecordBatch.from_pylist(batch, schema=schema)


def write_parquet(spool: Spool, path: Path, *, features: bool = False) -> None:
    """Write one Parquet file (zstd), in batches; `features` adds the description that Hugging Face `datasets` reads."""
    import pyarrow.parquet as pq

    schema = _schema(spool.shape, features)
    with pq.ParquetWriter(path, schema, compression="zstd", store_schema=True) as writer:
        for batch in _batches(spool, schema):
            writer.write_batch(batch)


def write_folder(spool: Spool, folder: Path, card: str) -> None:
    """Write a folder that `datasets.load_dataset` opens: `data/train-00000-of-00001.parquet` and a card that names
    the features."""
    (folder / "data").mkdir()
    part = folder / "data" / "train-00000-of-00001.parquet"
    write_parquet(spool, part, features=True)
    (folder / "README.md").write_text(_front_matter(spool, part) + card, encoding="utf-8")


def _front_matter(spool: Spool, part: Path) -> str:
    """The YAML head of a data set card; JSON is YAML, which spares a second way to write features."""
    schema = _schema(spool.shape, features=True)
    features = [{"name": name, **_yaml_feature(schema.field(name).type)} for name in schema.names]
    size = part.stat().st_size
    info = {
        "features": features,
        "splits": [{"name": "train", "num_bytes": size, "num_examples": spool.rows}],
        "download_size": size,
        "dataset_size": size,
    }
    configs = [{"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*"}]}]
    return f"---\nconfigs: {json.dumps(configs)}\ndataset_info: {json.dumps(info, ensure_ascii=False)}\n---\n"


def _yaml_feature(kind: Any) -> dict[str, Any]:
    import pyarrow as pa

    if pa.types.is_list(kind):
        inner = _yaml_feature(kind.value_type)
        return {"list": inner.get("struct") or inner["dtype"]}
    if pa.types.is_struct(kind):
        return {"struct": [{"name": part.name, **_yaml_feature(part.type)} for part in kind]}
    return {"dtype": {"double": "float64"}.get(str(kind), str(kind))}
