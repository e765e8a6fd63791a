"""The one place where a campaign's guidelines change: a new version, and the page that people read beside their form.

`quorum guidelines publish`, the managers' form and what `quorum setup` sends come here alike.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from django.db import transaction
from projects.models import Project

from label_studio_quorum.campaign.differences import interface_digest
from label_studio_quorum.campaign.projects import read_marker, write_marker
from ls_config.guidelines import to_html
from ls_config.paragraphs import ParagraphChange, guidelines_hash, paragraph_changes
from ls_plugin.models import Campaign, CampaignProject, GuidelineVersion, Stage
from ls_plugin.people import rulebook
from ls_plugin.store import guidelines
from ls_plugin.store.guidelines import GuidelineReading
from ls_plugin.store.refusals import Refused
from review_rules.files.policy import Acknowledge

OF_SET_UP: Final = "quorum setup"
"""The note of a version that came with a campaign's set-up."""
LONGEST: Final = 500_000
"""Characters of guidelines."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """What became of guidelines that a set-up sent.

    Attributes:
        version: the version that holds now; None for a campaign without guidelines.
        is_new: whether they became it.
        earlier: the number of the earlier version that they are, so that the newest stays; None where they are none.
        changes: the paragraphs in which the new version differs from the one before.
    """

    version: GuidelineVersion | None
    is_new: bool = False
    earlier: int | None = None
    changes: tuple[ParagraphChange, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The part of the answer of ``PUT /quorum/api/campaign``."""
        return {
            **({"number": None, "hash": None} if self.version is None else guidelines.named(self.version)),
            "is_new": self.is_new,
            "earlier": self.earlier,
            "changes": [change.title or change.address for change in self.changes],
        }


def is_always_acknowledged(campaign: Campaign) -> bool:
    """Whether by the policy every version asks for an acknowledgement."""
    return rulebook.read_policy(campaign.policy_text).guidelines.acknowledge is Acknowledge.ALWAYS


def reading_of(campaign: Campaign, user_id: int) -> GuidelineReading:
    """Where a person stands with the guidelines of a campaign."""
    return guidelines.reading_of(campaign.pk, user_id, always=is_always_acknowledged(campaign))


def holding_version(campaign_id: int, user_id: int) -> dict[str, Any] | None:
    """The version that holds for a person, as lines of the audit log name it; None where none does."""
    always = is_always_acknowledged(Campaign.objects.get(pk=campaign_id))
    return guidelines.holding_version(campaign_id, user_id, always=always)


def refusal_of(campaign: Campaign, user_id: int) -> Refused | None:
    """The refusal to hand a row to somebody who has yet to acknowledge guidelines; None where nothing asks for it."""
    pending = reading_of(campaign, user_id).pending
    if pending is None:
        return None
    what = "The guidelines have changed" if pending.number > 1 else "There are guidelines"
    sentence = f"{what}: read and acknowledge version {pending.number}, then your next row comes."
    link = {"text": "Read the guidelines", "address": address_of(campaign.pk)}
    return Refused("acknowledge", sentence, {"link": link, "version": pending.number})


def address_of(campaign_id: int) -> str:
    """The page on which people read and acknowledge the guidelines."""
    return f"/quorum/guidelines/{campaign_id}/"


def publish(
    campaign: Campaign, text: str, *, note: str, user_id: int | None, acknowledge: bool, base: int | None = None
) -> GuidelineVersion:
    """Publish a text as the next version; from then on it is what people read.

    Args:
        campaign: the campaign.
        text: the guidelines, Markdown.
        note: what changed, for people.
        user_id: who publishes.
        acknowledge: whether people acknowledge it before their next row.
        base: the number of the version from which the text was made (0: there was none); None: whichever.

    Raises:
        Refused: ``guidelines_same`` if nothing would change, ``guidelines_changed`` if somebody has published since
            `base`, ``bad_request`` for what cannot be kept.
    """
    clean = clean_text(text)
    with transaction.atomic():
        guidelines.lock_versions(campaign.pk, exclusive=True)
        before = guidelines.newest(campaign.pk)
        if base is not None and base != (0 if before is None else before.number):
            raise Refused("guidelines_changed")
        if before is not None and before.hash == guidelines_hash(clean):
            raise Refused("guidelines_same", same_sentence(before))
        version = guidelines.append(campaign, clean, note=_clean_note(note), user_id=user_id, acknowledge=acknowledge)
        _show(campaign, clean)
    return version


def same_sentence(version: GuidelineVersion) -> str:
    """What is said of a text that is the newest version already."""
    return f"These are the guidelines of version {version.number}, which hold already."


def take(campaign: Campaign, text: str, user_id: int | None) -> Taken:
    """Take the guidelines that a set-up sent: as a new version, unless they hold already or held before.

    The files of another machine may be older than what the server has: an earlier version comes back by publishing it,
    and never by a set-up that is about something else.
    """
    with transaction.atomic():
        guidelines.lock_versions(campaign.pk, exclusive=True)
        versions, clean = guidelines.versions_of(campaign.pk), clean_text(text)
        last, digest = (versions[-1] if versions else None), guidelines_hash(clean)
        if last is None and not clean.strip():
            return Taken(version=None)
        if last is not None and last.hash == digest:
            _show(campaign, last.text)
            return Taken(version=last)
        if last is not None and (same := [each.number for each in versions if each.hash == digest]):
            return Taken(version=last, earlier=same[-1])
        version = publish(campaign, clean, note=OF_SET_UP, user_id=user_id, acknowledge=False)
        return Taken(version=version, is_new=True, changes=paragraph_changes("" if last is None else last.text, clean))


def clean_text(text: str) -> str:
    """Guidelines as they are kept: with the line ends of every other text here.

    Raises:
        Refused: ``bad_request`` for what cannot be kept.
    """
    clean = text.replace("\r\n", "\n").replace("\r", "\n")
    if len(clean) > LONGEST:
        raise Refused("bad_request", f"Guidelines have at most {LONGEST:,} characters.")
    _require_storable(clean, "guidelines hold")
    return clean


def _clean_note(note: str) -> str:
    clean = note.strip()
    if not clean:
        raise Refused("bad_request", "Say in a note what has changed: people read it.")
    if len(clean) > guidelines.LONGEST_NOTE:
        raise Refused("bad_request", f"A note has at most {guidelines.LONGEST_NOTE} characters.")
    _require_storable(clean, "note holds")
    return clean


def _require_storable(text: str, what: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refused("bad_request", f"The {what} a character that cannot be stored.") from None
    if "\0" in text:
        raise Refused("bad_request", f"The {what} a character that cannot be stored.")


def _show(campaign: Campaign, text: str) -> None:
    """Give the three projects the page of these guidelines, with their hash in the line of what people are shown.

    Past Label Studio's own way of saving, which would do much more than this.
    """
    html = to_html(text)
    places = dict(CampaignProject.objects.filter(campaign=campaign).values_list("project_id", "stage"))
    first = next((pk for pk, stage in places.items() if stage == Stage.PASS), None)
    shown = Project.objects.filter(pk=first).values_list("label_config", flat=True).first() or ""
    for project in Project.objects.filter(pk__in=list(places)).only("id", "description", "expert_instruction"):
        marker = read_marker(project.description or "")
        changes: dict[str, Any] = {"expert_instruction": html, "show_instruction": bool(text)}
        if marker is not None and marker.interface:
            changed = replace(marker, interface=interface_digest(shown, html))
            changes["description"] = write_marker(project.description or "", changed)
        Project.objects.filter(pk=project.pk).update(**changes)
