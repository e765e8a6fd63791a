"""Names: a public class name means one thing in all rooms, and values are named by nouns."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("ls_config", "review_rules", "ml_backend", "label_studio_quorum", "ls_plugin")

# Names that still mean two things. The list may only shrink: a name that is no longer doubled must go from here.
DOUBLED = frozenset({"Campaign", "Kind", "Match", "Record", "Stage"})
# One meaning, told apart by where it stands: what Django asks of a model, and each predictor's own settings.
BY_DESIGN = frozenset({"Meta", "Settings"})

VAGUE = frozenset({"beside", "found", "given", "heard", "held", "one", "said", "told"})
# How many values of a room have a name that says nothing about them. The numbers may only shrink.
VAGUE_CEILING = {"ls_config": 0, "review_rules": 0, "ml_backend": 0, "label_studio_quorum": 1, "ls_plugin": 1}


@lru_cache(maxsize=1)
def trees() -> dict[str, list[tuple[str, ast.Module]]]:
    """Every source file of each room, parsed."""
    return {
        room: [
            (path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8")))
            for path in sorted((ROOT / room).rglob("*.py"))
            if "migrations" not in path.parts
        ]
        for room in ROOMS
    }


def public_classes() -> dict[str, list[str]]:
    """Public class name → where it is defined."""
    places = defaultdict[str, list[str]](list)
    for files in trees().values():
        for path, tree in files:
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places[node.name].append(f"{path}:{node.lineno}")
    return places


def bound_names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Each name that a value is given (variables, parameters, attributes of `self`), and its line."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name.lstrip("_"), node.lineno
            case _:
                pass


def test_a_public_class_name_means_one_thing() -> None:
    """Two classes of one name in two files are two meanings, unless the name is on the list, which may only shrink."""
    doubled = {name: places for name, places in public_classes().items() if len(places) > 1 and name not in BY_DESIGN}
    fresh = {name: places for name, places in doubled.items() if name not in DOUBLED}
    assert not fresh, f"give each its own name: {fresh}"
    assert not DOUBLED - doubled.keys(), "no longer doubled; take it off the list"


@pytest.mark.parametrize("room", ROOMS)
def test_values_are_named_by_nouns(room: str) -> None:
    """A name such as `held` says nothing about the value; a room has no more of them than before."""
    vague = [
        f"{path}:{line}: {name}" for path, tree in trees()[room] for name, line in bound_names(tree) if name in VAGUE
    ]
    by_file = Counter(place.split(":")[0] for place in vague).most_common(5)
    assert len(vague) <= VAGUE_CEILING[room], f"name them by nouns; most are in {by_file}"
