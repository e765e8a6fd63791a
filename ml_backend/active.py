"""Which model a server answers with: the file that outlives a restart, and that several workers share."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

FILE = "active.json"


@dataclass(frozen=True, slots=True)
class Activation:
    """The active model and those before it, newest last."""

    active: str
    before: tuple[str, ...] = ()


def read_activation(state: Path) -> Activation | None:
    """What the file in a server's state folder says; None where nothing was activated yet.

    Raises:
        ValueError: The file cannot be read as one.
    """
    file = state / FILE
    try:
        written = json.loads(file.read_text(encoding="utf-8"))
        return Activation(str(written["active"]), tuple(map(str, written["before"])))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file}: cannot be read ({type(error).__name__}); activate a model anew") from error
