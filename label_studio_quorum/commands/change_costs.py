"""What a change costs, told before it is made: lines for people, a question on a terminal, `--yes` for scripts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from label_studio_quorum.commands.shared_options import print_json, progress_bar

if TYPE_CHECKING:
    from label_studio_quorum.campaign.planned_change import PlannedChange

YesOption = Annotated[
    bool, typer.Option("--yes", help="Make the change also where decided rows are open again; nobody is asked.")
]
RenameOption = Annotated[
    list[str] | None,
    typer.Option(
        "--rename",
        metavar='FIELD:"OLD"="NEW"',
        help="What a label of the interface is called now, such as verdict:'Half right'='Partly correct'; repeat it.",
    ),
]


def read_renames(options: list[str] | None) -> dict[str, dict[str, str]]:
    """Field → old label → new label, of `--rename`.

    >>> read_renames(['verdict:"Half right"="Partly correct"', "verdict:No=Incorrect"])
    {'verdict': {'Half right': 'Partly correct', 'No': 'Incorrect'}}
    """
    renames: dict[str, dict[str, str]] = {}
    for rename in options or ():
        field, colon, labels = rename.partition(":")
        old, equals, new = _split(labels)
        if not (field and colon and old and equals and new):
            raise typer.BadParameter(f'{rename!r}: write it as FIELD:"old label"="new label"', param_hint="--rename")
        renames.setdefault(field.strip(), {})[old] = new
    return renames


def _split(labels: str) -> tuple[str, str, str]:
    """Old label, the sign between, new label; a label with an equals sign in it stands in quotes."""
    if labels.startswith('"') and '"=' in labels[1:]:
        old, _, new = labels[1:].partition('"=')
        return old, "=", _unquoted(new)
    old, equals, new = labels.partition("=")
    return old.strip(), equals, _unquoted(new.strip())


def _unquoted(label: str) -> str:
    return label[1:-1] if len(label) > 1 and label[0] == label[-1] == '"' else label


@dataclass(frozen=True, kw_only=True)
class Asking:
    """How a command asks whether a change shall be made.

    Attributes:
        yes: Whether the answer was given beforehand.
        as_json: Whether the command prints one JSON object, and hence asks nobody.
        say: Prints a line for people.
    """

    yes: bool
    as_json: bool = False
    say: Callable[[str], None] = typer.echo

    def confirm(self, planned: PlannedChange) -> None:
        """Tell what changes, and stop where decided rows would be open again and nobody says yes.

        Raises:
            typer.Exit: With 1, and nothing was changed.
        """
        if not self.as_json:
            self.tell(planned)
        if not planned.needs_yes or self.yes or self._is_answered_with_yes():
            return
        if self.as_json:
            print_json({"change": planned.to_json(), "done": False})
        typer.echo(
            f"quorum: {planned.cost.falls:,} decided rows would be open again, so nothing was changed; "
            "give --yes to change it all the same",
            err=True,
        )
        raise typer.Exit(1)

    def tell(self, planned: PlannedChange) -> None:
        """Print what changes and what that does."""
        for line in planned.lines():
            self.say(line)

    def _is_answered_with_yes(self) -> bool:
        if self.as_json or not (sys.stdin.isatty() and sys.stderr.isatty()):
            return False
        return typer.confirm("Decided rows are open again after this. Do it?", err=True)


@contextmanager
def reckoning(text: str = "what the change does: rows") -> Iterator[Callable[[int, int | None], None]]:
    """A progress bar for the rows whose decisions are reckoned again, where stderr is a terminal."""
    with progress_bar(text) as (bar, task):

        def advance(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total)

        yield advance
