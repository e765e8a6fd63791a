"""Saying something in a thread: people ask and dispute, managers answer, publish an answer and tell everybody."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from ls_config.paragraphs import titles
from ls_plugin.models import Campaign, Grant, Member, Message, Stage
from ls_plugin.pages import threads
from ls_plugin.pages.told_rows import answered_rows, decided_at, kept_back, tell
from ls_plugin.people import rulebook
from ls_plugin.people.standings import to_person
from ls_plugin.store import messages
from ls_plugin.store.messages import Kind, ThreadSubject
from ls_plugin.store.refusals import Refused
from ls_plugin.store.slots import lock_rows, slots_of
from review_rules import Role


def ask(campaign: Campaign, user_id: int, about: ThreadSubject, text: str) -> Message:
    """Ask the campaign's managers about a row, or about a paragraph of the guidelines.

    Raises:
        Refused: ``not_yours`` for a row that was never handed to this person, whether it is there or not, and for a
            paragraph that the guidelines do not have.
    """
    if about.paragraph:
        role = _role_of(campaign, user_id, about.paragraph)
    else:
        role = threads.ROLES[require_part(campaign, user_id, about.row_id)]
    return messages.say(Kind.QUESTION, campaign_id=campaign.pk, user_id=user_id, role=role, about=about, text=text)


def _role_of(campaign: Campaign, user_id: int, paragraph: str) -> str:
    """As what somebody of a campaign asks about its guidelines: the first stage that they work at."""
    if paragraph not in titles(campaign.guidelines):
        raise Refused("not_yours", f"The guidelines have no paragraph {paragraph!r}.")
    member = Member.objects.filter(campaign=campaign, user_id=user_id).first()
    roles = to_person(member).roles if member is not None else frozenset()
    role = next((role for role in threads.ROLES.values() if Role(role) in roles), None)
    if role is None:
        raise Refused("not_yours", "Who works in no stage of this campaign asks nothing about its guidelines.")
    return role


def dispute(campaign: Campaign, user_id: int, row_id: str, reason: str) -> Message:
    """Ask the managers to look again at what was decided of a row that this person has answered.

    Raises:
        Refused: ``not_yours`` for a row that was never handed to them, ``no_dispute`` where nothing is decided of what
            they said, they have disputed the decision already, or the days that the policy gives are over.
    """
    role = threads.ROLES[require_part(campaign, user_id, row_id)]
    with transaction.atomic():
        lock_rows(campaign.pk, [row_id])
        row = tell(campaign, user_id, [row_id]).get(row_id)
        if row is None:
            raise Refused("no_dispute", f"Nothing is decided yet of what you said of row {row_id}.")
        if not may_dispute(campaign, decided_at(row)):
            raise Refused("no_dispute", "The time in which it could be disputed is over.")
        mine = Message.objects.filter(campaign_id=campaign.pk, row_id=row_id, user_id=user_id)
        if mine.filter(kind=Kind.DISPUTE.value, at__gte=decided_at(row)).exists():
            raise Refused("no_dispute", "You have disputed this decision already.")
        about = ThreadSubject(row_id=row_id)
        return messages.say(Kind.DISPUTE, campaign_id=campaign.pk, user_id=user_id, role=role, about=about, text=reason)


def may_dispute(campaign: Campaign, decided: datetime) -> bool:
    """Whether the policy still takes a dispute of what was decided at this time."""
    days = rulebook.read_policy(campaign.policy_text).disputes.days
    return days is None or timezone.now() < decided + timedelta(days=days)


def answer(campaign: Campaign, user_id: int, message_id: int, text: str, *, publish: bool = False) -> Message:
    """Answer what somebody asked, as a manager; the answer to a dispute upholds the decision.

    Args:
        campaign: the campaign.
        user_id: the manager.
        message_id: the number of the question or dispute.
        text: the answer.
        publish: whether everybody of the campaign reads question and answer: of a row once it is decided.

    Raises:
        Refused: ``not_yours`` if the campaign has no such question or dispute; ``no_dispute`` for a dispute that is
            settled, ``excluded`` for a dispute of a row in which they have an answer themselves; ``not_published`` for
            a dispute, and for a row with a known answer.
    """
    with transaction.atomic():
        asking = Message.objects.filter(campaign_id=campaign.pk, kind__in=(Kind.QUESTION.value, Kind.DISPUTE.value))
        asked = asking.filter(pk=message_id).first()
        if asked is None:
            raise Refused("not_yours", f"This campaign has no question or dispute {message_id}.")
        upholds = asked.kind == Kind.DISPUTE.value
        if upholds:
            _require_settling(campaign, user_id, asked)
        if publish:
            _require_publishing(campaign, asked)
        return messages.say(
            Kind.UPHELD if upholds else Kind.ANSWER,
            campaign_id=campaign.pk,
            user_id=user_id,
            role=Role.MANAGER.value,
            about=ThreadSubject(row_id=asked.row_id, paragraph=asked.paragraph),
            answers=asked.pk,
            published=publish,
            text=text,
        )


def _require_settling(campaign: Campaign, user_id: int, dispute: Message) -> None:
    """Refuse to settle a dispute about one's own answer, or one that is settled."""
    lock_rows(campaign.pk, [dispute.row_id])
    tasks = dict(slots_of(campaign.pk, [dispute.row_id]).values_list("task_id", "row_id"))
    # They would decide about their own answer.
    if answered_rows(user_id, tasks):
        raise Refused("excluded", f"You have an answer in row {dispute.row_id}: another manager settles this.")
    if not threads.waiting(campaign, [dispute]):
        raise Refused("no_dispute", "This dispute is settled already.")


def _require_publishing(campaign: Campaign, asked: Message) -> None:
    if asked.kind == Kind.DISPUTE.value:
        raise Refused("not_published", "A dispute is between its author and you: tell everybody in words of your own.")
    if asked.row_id in kept_back(campaign):
        raise Refused("not_published")


def announce(campaign: Campaign, user_id: int, text: str) -> Message:
    """Tell everybody of a campaign something, as a manager."""
    return messages.say(Kind.ANNOUNCEMENT, campaign_id=campaign.pk, user_id=user_id, role=Role.MANAGER.value, text=text)


def require_part(campaign: Campaign, user_id: int, row_id: str) -> Stage:
    """The stage at which somebody was handed a row last.

    Raises:
        Refused: ``not_yours`` if they never were, or there is no such row: which of the two it is, is not told.
    """
    stage_of = dict(slots_of(campaign.pk, [row_id]).values_list("task_id", "stage")) if row_id else {}
    handed = Grant.objects.filter(user_id=user_id, task_id__in=list(stage_of)).order_by("-given_at").first()
    if handed is None:
        raise Refused("not_yours", f"You were handed no row {row_id!r} in this campaign.")
    return Stage(stage_of[handed.task_id])
