"""Full records, held on disk between the passes that learn about them and the pass that writes them.

Tables need their header before their first row: which columns rows have, who labelled, which fields there are.
Records are therefore written once to a temporary file beside the target, so that memory stays flat for any number of
rows. What JSONL does not need is not learnt for it.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from ls_config import Interface
from ls_config.interface import RETURN
from review_rules import Stage, State
from review_rules.seals import DIGEST, PLACE, Digest, Seal

__all__ = ["STAGES", "RecordLine", "RecordShape", "Spool", "json_line", "line_of", "reopenings_after_final", "row_of"]

STAGES = tuple(stage.key for stage in Stage)
"""The keys under which a record lists what people submitted."""
_FIRST = ("id", "context", "query", "response", "domain", "auto_label")
_KEYS = (
    "row_id", "gold", "state", "domain", "predicted_domain", "row", "auto_label", "fields", "passes", "qa", "expert",
    "comparison", "proposal", "findings", "final", "certificate",
)  # fmt: skip


def json_line(value: Any) -> str:
    """One line of JSON: readable texts, tight separators; escaped only where a text cannot be encoded."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if _encodable(text) else json.dumps(value, separators=(",", ":"))


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def row_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a record by the names of the row contract."""
    row = dict(record.get("row") or {})
    return (
        row
        if "id" in row
        else {"id": record["row_id"], **{name: value for name, value in row.items() if name != "row_id"}}
    )


@dataclass(frozen=True, slots=True)
class RecordLine:
    """A full record as exports hold it: its JSON with the line end, whether it is gold or had been, and its digest."""

    gold: bool
    text: bytes
    digest: str
    had_been_final: bool = False


def line_of(record: Mapping[str, Any]) -> RecordLine:
    """A record's line: its keys in the order of docs/data.md, then any others, and the digest of them all."""
    gold = bool(record.get("gold", record.get("state") == "FINAL"))
    whole = {key: record[key] for key in _KEYS if key in record}
    whole |= {"row": row_of(record), "gold": gold}
    # A record that was read from an export is another one if anything in it was changed meanwhile.
    whole |= {key: value for key, value in record.items() if key not in whole and key not in (DIGEST, PLACE)}
    digest = Digest.of(whole)
    text = f"{json_line({**whole, DIGEST: digest.to_json()})}\n".encode()
    return RecordLine(gold, text, digest.record, had_been_final=bool(reopenings_after_final(record)))


def reopenings_after_final(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The reopenings of a row that had been final; what is no reopening is a finding of the rules."""
    entries = record.get("reopened")
    listed = entries if isinstance(entries, list) else ()
    return [entry for entry in listed if isinstance(entry, dict) and entry.get("was") == State.FINAL.value]


def is_returned(record: Mapping[str, Any]) -> bool:
    """Whether QA gave the row back to people of its passes: by a return that counts, and so has no finding."""
    findings = {entry.get("path") for entry in record.get("findings") or () if isinstance(entry, dict)}
    reviews = enumerate(record.get("qa") or ())
    return any(
        review.get("decision") == RETURN and f"qa[{place}]" not in findings
        for place, review in reviews
        if isinstance(review, dict)
    )


_END = "}\n"
"""How a record's line ends: its place is put in before."""

BIG = "big int"
"""The name of the type of whole numbers beyond 64 bits with a sign, which typed columns cannot hold."""
_MOST = 2**63


def _type_name(value: Any) -> str:
    name = type(value).__name__
    return BIG if name == "int" and not -_MOST <= value < _MOST else name


@dataclass(slots=True)
class RecordShape:
    """What all records together hold: columns of rows, fields with their kinds, and who worked in which stage."""

    columns: dict[str, set[str]] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)
    people: dict[str, set[str]] = field(default_factory=lambda: {stage: set() for stage in STAGES})

    def learn(self, record: Mapping[str, Any]) -> None:
        """Take one more record into account."""
        for name, value in record["row"].items():
            self.columns.setdefault(name, set()).add(_type_name(value))
        for name, about in (record.get("fields") or {}).items():
            self.fields.setdefault(name, str(about.get("kind")))
        for stage in STAGES:
            self.people[stage].update(str(by) for submission in record.get(stage) or () if (by := submission.get("by")))

    def ordered_columns(self) -> list[str]:
        """The columns of the row contract first, then the others as they were first met."""
        return [
            *(name for name in _FIRST if name in self.columns),
            *(name for name in self.columns if name not in _FIRST),
        ]


class Spool:
    """Records on disk, in the order given; a context manager that removes its file.

    Args:
        records: Full records, or their lines where they were made elsewhere; read once.
        folder: Where the file goes.
        interface: Its fields come first, in its order.
        everything: Also records that are not gold.
    """

    def __init__(
        self, records: Iterable[Mapping[str, Any] | RecordLine], folder: Path, interface: Interface, *, everything: bool
    ) -> None:
        self._controls = {control.name: control.kind for control in interface.controls}
        self._file: IO[bytes] = tempfile.TemporaryFile("w+b", dir=folder)  # noqa: SIM115 - closed by __exit__
        self.rows = self.left_out = self.left_out_after_final = 0
        self._seal = Seal()
        try:
            self._fill(records, everything)
        except BaseException:
            self._file.close()
            raise

    def _fill(self, records: Iterable[Mapping[str, Any] | RecordLine], everything: bool) -> None:
        for record in records:
            line = record if isinstance(record, RecordLine) else line_of(record)
            if line.gold or everything:
                self._file.write(line.text)
                self._seal.add(line.digest)
                self.rows += 1
            else:
                self.left_out += 1
                self.left_out_after_final += line.had_been_final

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @cached_property
    def shape(self) -> RecordShape:
        """What the records together hold; read from all of them the first time it is asked for."""
        shape = RecordShape(fields=dict(self._controls))
        for record in self:
            shape.learn(record)
        others = sorted(shape.fields.keys() - self._controls.keys())
        shape.fields = {**self._controls, **{name: shape.fields[name] for name in others}}
        return shape

    @property
    def seal(self) -> str:
        """The seal of all records, in their order."""
        return self._seal.value

    def copy_to(self, path: Path) -> None:
        """All lines as one file."""
        with path.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{line}\n" for line in self.lines())

    def lines(self) -> Iterator[str]:
        """Each record's JSON with its place in the export, without its line end."""
        at = number = 0
        while True:
            self._file.seek(at)  # somebody may have read elsewhere meanwhile
            line = self._file.readline()
            if not line:
                return
            at += len(line)
            number += 1
            place = {"number": number, "of": self.rows, "seal": self.seal}
            yield f"{line.decode()[: -len(_END)]},{json_line(PLACE)}:{json_line(place)}}}"

    def __iter__(self) -> Iterator[dict[str, Any]]:
        yield from map(json.loads, self.lines())
