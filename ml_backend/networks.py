"""Says what a network is, whichever runtime runs it."""

from __future__ import annotations

from typing import Any, Literal, Protocol

from numpy.typing import NDArray

Array = NDArray[Any]
NetworkKind = Literal["encoder", "sequence", "token"]
"""What a network gives: hidden states, logits of a text, or logits of each token."""


class Network(Protocol):
    """A network that is ready to run; several threads may run it at a time."""

    def run(self, ids: Array, mask: Array, type_ids: Array) -> Array:
        """Compute hidden states or logits for a padded batch: (rows, tokens, width), or (rows, classes)."""
        ...


def first_line(error: Exception) -> str:
    """Return what an error says, in one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
