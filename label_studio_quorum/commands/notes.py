"""What a command says about the files it was given before anybody works with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ls_config import Interface

__all__ = ["interface_notes"]


def interface_notes(interface: Interface) -> Iterator[str]:
    """What a person should know about the label interface before anybody fills it in."""
    if not interface.requires_something:
        yield (
            f"the interface {interface.name} requires nothing, so two empty answers make a gold row; "
            'set required="true" on the controls that every row needs'
        )
