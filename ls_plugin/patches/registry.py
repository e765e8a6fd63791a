"""The one way in which the plugin replaces a piece of Label Studio: by its dotted name, which must be there.

The registry keeps what stood there before. The ledger (:mod:`ls_plugin.patches.ledger`) holds the hash of its source,
and so tells for a new version of Label Studio which of the pieces have changed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any

from django.dispatch import Signal

_replaced: dict[str, Any] = {}


class MissingPieceError(RuntimeError):
    """Label Studio has no piece of this name, so this is not the version that the plugin was written for."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"Label Studio has no `{name}`, which the plugin replaces: install a tested version of Label Studio"
        )


def replace(name: str, make: Callable[[Any], Any]) -> None:
    """Replace a function, method or class of Label Studio, Django or REST framework.

    Args:
        name: its dotted name, as ``module.function`` or ``module.Class.method``. A function that another module has
            imported by name is replaced there too: once for each name.
        make: takes what stands there now and gives what shall stand there.

    Raises:
        MissingPieceError: there is nothing of this name.
        ValueError: it was replaced before, here or where this module has it from.
    """
    owner, attribute = _owner_of(name)
    if name in _replaced:
        raise ValueError(f"`{name}` was replaced before")
    stock = getattr(owner, attribute)
    if (getattr(stock, "__module__", None) or "").startswith("ls_plugin."):
        # The module has imported it by name after it was replaced elsewhere: the stock piece would never be looked at.
        raise ValueError(f"`{name}` is a piece of the plugin already: replace it before the piece that it comes from")
    replacement = make(stock)
    _replaced[name] = stock
    setattr(owner, attribute, replacement)


def detach(name: str, signal: Signal, sender: type) -> Callable[..., None]:
    """Disconnect a receiver of Label Studio's from a signal.

    Args:
        name: the receiver's dotted name.
        signal: what it is connected to.
        sender: for whose signals it is connected.

    Returns:
        The receiver, for the caller to call at a better moment.

    Raises:
        MissingPieceError: there is no such receiver, or Label Studio does not connect it.
    """
    owner, attribute = _owner_of(name)
    receiver: Callable[..., None] = getattr(owner, attribute)
    if not signal.disconnect(receiver, sender=sender):
        raise MissingPieceError(name)
    _replaced[name] = receiver
    return receiver


def replaced() -> Mapping[str, Any]:
    """What stood at each name before the plugin replaced it."""
    return MappingProxyType(_replaced)


def _owner_of(name: str) -> tuple[Any, str]:
    """The module or class that holds a dotted name, and the last part of the name."""
    *path, attribute = name.split(".")
    owner, rest = _module_of(path, name)
    for part in rest:
        owner = getattr(owner, part, None)
    if owner is None or not hasattr(owner, attribute):
        raise MissingPieceError(name)
    return owner, attribute


def _module_of(path: list[str], name: str) -> tuple[Any, list[str]]:
    """The longest module that a dotted path begins with, and what of the path is left.

    The module is taken from Python's own table: a package may have a function of the same name as its submodule.
    """
    for length in range(len(path), 0, -1):
        module = ".".join(path[:length])
        try:
            import_module(module)
        except ModuleNotFoundError as error:
            # A class is no module; but a module that fails to find one of its own imports is a fault to be seen.
            if error.name is None or not f"{module}.".startswith(f"{error.name}."):
                raise
            continue
        return sys.modules[module], path[length:]
    raise MissingPieceError(name)
