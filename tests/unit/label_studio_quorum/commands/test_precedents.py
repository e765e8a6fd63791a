"""`quorum precedents`: what it prints of an answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from typer.testing import CliRunner

from label_studio_quorum.commands import precedents

PRECEDENT = {
    "row_id": "r7",
    "similarity": 0.8134,
    "state": "FINAL",
    "values": {"verdict": "Incorrect", "issues": ["Other"]},
    "reason": "Read\nline 3.",
    "cause": "The answers agreed.",
    "domain": "general",
    "excerpt": "Income tax …",
}


def output(monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any], *more: str) -> Any:
    """What the command prints where the server answers this."""

    class Port:
        def plugin_precedents(self, name: str, row_id: str) -> dict[str, Any]:
            assert (name, row_id) == ("May", "r1")
            return answer

    @contextmanager
    def connect(*arguments: Any, **named: Any) -> Iterator[Port]:
        yield Port()

    monkeypatch.setattr(precedents, "connect", connect)
    done = CliRunner().invoke(precedents.app, ["r1", "--name", "May", "--url", "http://127.0.0.1:9", *more])
    assert done.exit_code == 0, done.output
    return done


def test_a_precedent_is_told_in_a_few_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Similarity, row, state and values; why; what the review said; how the row begins."""
    done = output(monkeypatch, {"row_id": "r1", "precedents": [PRECEDENT], "waits_for": ""})
    assert done.stdout.splitlines() == [
        '0.81  r7  FINAL  verdict="Incorrect"  issues=["Other"]',
        "      The answers agreed.",
        "      reason: Read line 3.",
        "      Income tax …",
    ]


def test_nothing_alike_and_nothing_yet_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """What precedents wait for is said on stderr."""
    assert output(monkeypatch, {"precedents": [], "waits_for": ""}).stdout == "no decided row is like r1\n"
    done = output(monkeypatch, {"precedents": [], "waits_for": "the ML backend is away"})
    assert (done.stdout, done.stderr) == ("", "quorum: the ML backend is away\n")


def test_as_json_it_is_what_the_server_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """One object."""
    answer = {"row_id": "r1", "precedents": [PRECEDENT], "waits_for": ""}
    assert json.loads(output(monkeypatch, answer, "--json").stdout) == answer
