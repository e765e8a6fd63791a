"""The registry of what the plugin replaces in Label Studio, and the ledger of its sources."""

from __future__ import annotations

import collections
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pytest
from django.db.models.signals import post_save
from tasks.models import Annotation

from ls_plugin.patches import install as installation
from ls_plugin.patches import ledger, rest_views
from ls_plugin.patches.registry import MissingPieceError, detach, replace, replaced
from ls_plugin.version import TESTED


def test_the_installed_label_studio_is_the_one_that_was_read() -> None:
    """A new version whose pieces are written otherwise fails here, with their names."""
    assert version("label-studio") in TESTED
    assert ledger.compare(replaced(), ledger.read_ledger()) == ledger.Difference((), (), ())


def test_the_ledger_is_what_writing_it_anew_would_give() -> None:
    """`python -m ls_plugin.patches.ledger` changes nothing while nothing has changed."""
    from importlib.resources import files

    assert files("ls_plugin.patches").joinpath(ledger.FILE).read_text(encoding="utf-8") == ledger.to_text(replaced())


def test_a_piece_that_changed_is_new_or_is_gone_is_named() -> None:
    """The difference says which, and is true as soon as there is any."""
    pieces = {"a": ledger.source_hash, "b": ledger.compare}
    known = {"a": ledger.source_hash(ledger.source_hash), "b": "another", "c": "gone"}
    difference = ledger.compare(pieces, known)
    assert difference == ledger.Difference(changed=("b",), unknown=(), gone=("c",))
    assert difference
    assert not ledger.compare({"a": pieces["a"]}, {"a": known["a"]})


def test_comments_and_indentation_are_no_change() -> None:
    """The hash is of what the code does."""

    def plain(value: int) -> int:
        return value + 1

    commented = plain

    class Inside:
        def plain(value: int) -> int:  # type: ignore[misc]
            # why
            return value + 1

    assert ledger.source_hash(commented) != ledger.source_hash(ledger.compare)
    assert ledger.source_hash(Inside) != ledger.source_hash(plain)


@pytest.mark.parametrize(
    "name",
    ["projects.api.no_such_function", "projects.api.ProjectAPI.no_such", "projects.no_such.thing", "nosuch.thing", "x"],
)
def test_a_name_that_is_not_there_is_refused(name: str) -> None:
    """The message names the piece and says what to do."""
    with pytest.raises(MissingPieceError, match=f"no `{name}`.*install a tested version"):
        replace(name, lambda stock: stock)


def test_a_name_is_replaced_once_and_not_with_a_piece_of_ours_behind_it() -> None:
    """Replaced twice, the second would wrap the first; ours behind a name would hide what Label Studio has there."""
    with pytest.raises(ValueError, match="replaced before"):
        replace("projects.api.get_next_task", lambda stock: stock)
    with pytest.raises(ValueError, match="a piece of the plugin already"):
        replace("ls_plugin.patches.ledger.compare", lambda stock: stock)


def test_a_receiver_that_is_not_connected_is_refused() -> None:
    """A function that Label Studio does not call after a save any more is not the piece that is known."""
    with pytest.raises(MissingPieceError):
        detach("tasks.functions.update_tasks_counters", post_save, Annotation)


def test_what_is_replaced_stands_in_place_and_the_stock_piece_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The maker gets the stock piece; undone here by hand, as nothing else may see it."""
    from ls_plugin.patches import registry

    monkeypatch.setattr(registry, "_replaced", dict(registry._replaced))
    stock = collections.OrderedDict.move_to_end
    seen: list[Callable[..., Any]] = []

    def make(piece: Callable[..., Any]) -> Callable[..., Any]:
        seen.append(piece)
        return piece

    class Stand:
        move = staticmethod(stock)

    monkeypatch.setattr(collections, "Stand", Stand, raising=False)
    replace("collections.Stand.move", make)
    assert seen == [Stand.move]
    assert "collections.Stand.move" in replaced()


def test_a_server_without_a_piece_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says which piece is missing, instead of a server with half of its rules."""

    def fail() -> None:
        raise MissingPieceError("projects.api.get_next_task")

    monkeypatch.setattr(rest_views, "install", fail)
    with pytest.raises(SystemExit, match=r"quorum: Label Studio has no `projects\.api\.get_next_task`"):
        installation.install()
