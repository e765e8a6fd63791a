"""The guidelines of a launch beside those that the server keeps: what is new is published, what was is left."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from label_studio_quorum.port import RowPort
from ls_config.interface import Interface
from ls_config.paragraphs import guidelines_hash, paragraph_changes

_MOST_NAMED: Final = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class SentGuidelines:
    """What a launch sends, and what to say of it.

    Attributes:
        interface: The launch's interface, with the guidelines that hold afterwards.
        changes: What is published, as a line; empty where nothing is.
        notes: What the files say otherwise than the server, which stays.
    """

    interface: Interface
    changes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def compare_guidelines(port: RowPort, campaign: str, interface: Interface, kept: str) -> SentGuidelines:
    """Compare the guidelines of an interface with the versions of a campaign that is there.

    The server publishes what is new as the next version. A text that held once and does no more is that of a file which
    this machine has not brought up to date: a set-up that is about something else must not bring it back.

    Args:
        port: The server.
        campaign: The campaign's name.
        interface: What is to be set up.
        kept: The guidelines that hold on the server.
    """
    versions, sent = port.guideline_versions(campaign), guidelines_hash(interface.guidelines)
    numbers = {version["hash"]: version["number"] for version in versions}
    if not versions or versions[-1]["hash"] == sent:
        return SentGuidelines(interface=interface)
    last = versions[-1]["number"]
    if sent in numbers:
        note = (
            f"guidelines stay at version {last}: guidelines.md has the text of version {numbers[sent]}; "
            "quorum interface pull takes the new one, quorum guidelines publish brings the old one back"
        )
        return SentGuidelines(interface=replace(interface, guidelines=kept), notes=(note,))
    changed = [change.title or change.address for change in paragraph_changes(kept, interface.guidelines)]
    line = (
        f"publish version {last + 1} of the guidelines ({_listed(changed)}); nobody is asked to acknowledge it, "
        "as quorum guidelines publish --acknowledge would"
    )
    return SentGuidelines(interface=interface, changes=(line,))


def _listed(titles: Iterable[str]) -> str:
    named = list(titles)
    more = f" and {len(named) - _MOST_NAMED} more paragraphs" if len(named) > _MOST_NAMED else ""
    return (", ".join(named[:_MOST_NAMED]) or "white space alone") + more
