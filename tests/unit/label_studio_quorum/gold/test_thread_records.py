"""What was said about a row stands in its record in every format that proves itself, and the datasheet counts it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from label_studio_quorum.gold.formats import CARRIES_HISTORY, write
from label_studio_quorum.gold.formats.reading import read_records
from label_studio_quorum.gold.thread_records import ThreadCounts, read_threads
from tests.support.export_files import REVIEW, SUFFIX, decided_records, example_rows, proof_of


def entry(number: int | None, kind: str, text: str = "", **more: Any) -> dict[str, Any]:
    """A message as the server's API gives it."""
    role = "manager" if kind in ("answer", "upheld", "announcement") else "annotator"
    plain = {"id": number, "kind": kind, "at": f"2026-01-0{number or 9}T10:00:00.000000Z", "by": "ana", "role": role}
    return plain | {"text": text, "answers": None, "is_open": False, "published": False} | more


class Server:
    """A server with two pages of threads, or without the plugin."""

    def __init__(self, version: str | None = "1") -> None:
        self.version = version

    def plugin_version(self) -> str | None:
        """The plugin's version."""
        return self.version

    def plugin_threads(self, name: str | None, *, after: str = "", size: int | None = None) -> dict[str, Any]:
        """A page."""
        assert (name, size) == ("c", 1000)
        row = {"row_id": "r1", "paragraph": "", "messages": [
            entry(1, "question", "Which?"), entry(2, "answer", "That.", answers=1, published=True),
            entry(None, "reopened", "Again."),
        ]}  # fmt: skip
        others = {"row_id": "", "paragraph": "scales", "messages": [entry(3, "question", "Why?")]}
        everybody = {"row_id": "", "paragraph": "", "messages": [entry(4, "announcement", "Out.")]}
        return {"threads": [row], "after": "2"} if not after else {"threads": [everybody, others], "after": ""}


def test_threads_are_read_page_by_page_with_or_without_their_texts() -> None:
    """A reopening stands in the row's history; a stock server has none of it."""
    threads = read_threads(Server(), "c", texts=True)
    assert threads is not None
    assert [(each["id"], each["kind"], each["text"]) for each in threads.of_rows["r1"]] == [
        (1, "question", "Which?"), (2, "answer", "That."),
    ]  # fmt: skip
    assert (threads.of_rows["r1"][1]["answers"], threads.of_rows["r1"][1]["published"]) == (1, True)
    assert [each["kind"] for each in threads.others] == ["question", "announcement"]
    outline = read_threads(Server(), "c", texts=False)
    assert outline is not None
    assert not any("text" in each for each in [*outline.of_rows["r1"], *outline.others])
    assert read_threads(Server(None), "c", texts=True) is None


@pytest.mark.parametrize("name", CARRIES_HISTORY)
def test_a_record_with_its_thread_is_proved_in_every_format(name: str, tmp_path: Path) -> None:
    """It comes back as it was written, and the file verifies."""
    decided = decided_records(example_rows())
    thread = [
        {"id": 1, "kind": "question", "at": "2026-01-01T10:00:00.000000Z", "by": "ana", "text": "=1+1 \U0001f600"}
    ]
    path = tmp_path / SUFFIX[name]
    write([record | {"thread": thread} for record in decided], path, name, interface=REVIEW)
    assert [str(unproven) for unproven in proof_of(path)[1]] == []
    assert all(record["thread"] == thread for record in read_records(path))


def test_a_changed_thread_is_found(tmp_path: Path) -> None:
    """The digest is over all that a record holds."""
    decided = decided_records(example_rows())
    path = tmp_path / "a.jsonl"
    write([record | {"thread": [{"id": 1, "text": "before"}]} for record in decided], path, interface=REVIEW)
    path.write_text(path.read_text("utf-8").replace('"text":"before"', '"text":"after"', 1), "utf-8")
    causes = {unproven.cause for unproven in proof_of(path)[1]}
    assert ("QR.E116", "thread") in causes


def test_the_datasheet_counts_questions_and_what_came_of_disputes(tmp_path: Path) -> None:
    """Open ones too; a stock server is said to keep none, and who says nothing of threads gets no such part."""
    counts = ThreadCounts()
    messages = [entry(1, "question"), entry(2, "answer", answers=1), entry(3, "question"), entry(4, "dispute"),
            entry(5, "upheld", answers=4), entry(6, "dispute"), entry(8, "dispute")]  # fmt: skip
    counts.add(messages, [{"at": "2026-01-07T10:00:00.000000Z"}])
    expected = "2 questions (1 not answered), 1 answers, 3 disputes (1 upheld, 1 opened the row again, 1 not settled)"
    assert counts.sentence() == expected
    first, *others = decided_records(example_rows())
    again = {"thread": messages, "reopened": [{"at": "2026-01-07T10:00:00.000000Z"}]}
    elsewhere = [entry(3, "question"), entry(4, "announcement")]
    texts = []
    for about in ({"threads": elsewhere}, {"threads": None}, {}):
        write([first | again, *others], tmp_path / "a.jsonl", interface=REVIEW, card=True, about=about)
        texts.append((tmp_path / "a.jsonl.card.md").read_text("utf-8"))
    assert expected in texts[0]
    assert "paragraphs of the guidelines: 1 questions (1 not answered)" in texts[0]
    assert "Announcements to everybody: 1." in texts[0]
    assert "this is a stock server" in texts[1]
    assert "## Threads" not in texts[2]
