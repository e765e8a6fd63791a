"""Everything that `quorum check` knows of a file, in one pass: faults, warnings, profile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from label_studio_quorum.intake.checks.personal_data import Finder
from label_studio_quorum.intake.checks.whole_file import Expected, TableChecks
from label_studio_quorum.intake.faults import RowFault
from label_studio_quorum.intake.profile import Profile
from label_studio_quorum.intake.reading import DEFAULTS, Options, open_source, read_rows
from label_studio_quorum.intake.row import Row
from label_studio_quorum.intake.text_file import UnreadableError
from ls_config import Interface

__all__ = ["Checked", "check_rows"]


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome of a check: good rows, all faults in the order of the file, and the profile."""

    rows: int
    faults: tuple[RowFault, ...]
    profile: Mapping[str, Any]

    @property
    def errors(self) -> int:
        """How many faults keep a row or the file out."""
        return sum(fault.severity == "error" for fault in self.faults)


def check_rows(
    path: str | Path,
    *,
    interface: Interface | None,
    mapping: Mapping[str, str] | None = None,
    policy: Any = None,
    options: Options = DEFAULTS,
    expected: Expected | None = None,
    finder: Finder | None = None,
    on_row: Callable[[Row], None] | None = None,
) -> Checked:
    """Read a file and look at each row and at the table as a whole.

    Args:
        path, interface, mapping, policy, options: as for `read_rows`.
        expected: what the file should be like.
        finder: finds personal data; None leaves that out.
        on_row: called with each good row, in order.
    """
    table = TableChecks(str(path), interface, expected or Expected())
    profile = Profile()
    faults = list(_faults(path, interface, mapping, policy, options, table, profile, finder, on_row))
    faults += table.finish()
    described = profile.to_json(
        str(path),
        _description(path, options),
        faults,
        domains=table.domains,
        languages=table.languages,
        labels=table.labels,
    )
    return Checked(profile.rows, tuple(faults), described)


def _faults(
    path: str | Path,
    interface: Interface | None,
    mapping: Mapping[str, str] | None,
    policy: Any,
    options: Options,
    table: TableChecks,
    profile: Profile,
    finder: Finder | None,
    on_row: Callable[[Row], None] | None,
) -> Iterator[RowFault]:
    for outcome in read_rows(path, interface=interface, mapping=mapping, policy=policy, options=options):
        if isinstance(outcome, RowFault):
            yield outcome
            continue
        profile.see(outcome)
        yield from table.see(outcome)
        # Only where the extra `pii` is installed, or was asked for.
        if finder is not None:
            yield from finder.faults(outcome, str(path))
        if on_row is not None:
            on_row(outcome)


def _description(path: str | Path, options: Options) -> str:
    """What the file was taken for; empty where it could not be read, which is a fault of its own."""
    try:
        return str(open_source(path, options))
    except UnreadableError:
        return ""
