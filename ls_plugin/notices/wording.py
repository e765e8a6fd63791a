"""What a notice says, and where it leads: never the text of a row or of a message.

A manager who also works in the campaign may still have the row to answer, so they are told that something waits and
not about which row, as on their campaign's page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import quote

from ls_plugin.models import Notice, Stage


class NoticeKind(StrEnum):
    """What somebody is told of."""

    QUESTION = "question"
    DISPUTE = "dispute"
    ANSWER = "answer"
    UPHELD = "upheld"
    RETURN = "return"
    REOPENED = "reopened"
    PUBLISHED = "published"
    ANNOUNCEMENT = "announcement"
    GUIDELINES = "guidelines"
    BLOCKED = "blocked"
    DONE = "done"
    QUEUE = "queue"
    TEST = "test"


_SENTENCES: Final[Mapping[str, str]] = {
    NoticeKind.QUESTION: "A question{about} waits for an answer.",
    NoticeKind.DISPUTE: "A dispute{about} waits for a manager.",
    NoticeKind.ANSWER: "Your question{about} is answered.",
    NoticeKind.UPHELD: "Your dispute{about} is answered.",
    NoticeKind.RETURN: "A row came back to you{named}: see why, and answer it again.",
    NoticeKind.REOPENED: "A row that you had a part in is open again{named}.",
    NoticeKind.PUBLISHED: "A manager's answer is there for everybody.",
    NoticeKind.ANNOUNCEMENT: "A manager tells everybody something.",
    NoticeKind.GUIDELINES: "The guidelines have changed.",
    NoticeKind.BLOCKED: "A row is blocked{named}: nobody could decide it, or nobody may take it.",
    NoticeKind.DONE: "All rows are decided.",
    NoticeKind.QUEUE: "Rows wait for you{stage}.",
    NoticeKind.TEST: "This is a test: notifications reach you.",
}
_MANAGERS: Final = frozenset({NoticeKind.QUESTION.value, NoticeKind.DISPUTE.value, NoticeKind.BLOCKED.value})
_STAGE_WORDS: Final = {Stage.PASS.label: "", Stage.QA.label: " at QA", Stage.EXPERT.label: " at Expert"}
_LONGEST_ROW: Final = 80
TEAM_WIDE: Final = frozenset(
    {
        *_MANAGERS,
        NoticeKind.PUBLISHED.value,
        NoticeKind.ANNOUNCEMENT.value,
        NoticeKind.GUIDELINES.value,
        NoticeKind.DONE.value,
        NoticeKind.QUEUE.value,
        NoticeKind.TEST.value,
    }
)
"""What a channel that a whole team reads is told of; the others are one person's matter."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wording:
    """A notice for a reader: the sentence, and the address under the server's own that it leads to."""

    sentence: str
    path: str


def word(notice: Notice, *, works_here: bool) -> Wording:
    """What a reader is told of a notice.

    Args:
        notice: what happened.
        works_here: whether the reader also answers rows of the campaign.
    """
    row_id = "" if works_here and notice.kind in _MANAGERS else notice.row_id
    shown = " ".join(row_id.split())
    shown = shown if len(shown) <= _LONGEST_ROW else shown[: _LONGEST_ROW - 1] + "…"
    sentence = _SENTENCES[notice.kind].format(
        about=f" about row {shown}" if shown else "",
        named=f" (row {shown})" if shown else "",
        stage=_STAGE_WORDS.get(notice.stage, ""),
    )
    return Wording(sentence=sentence, path=_path(notice, row_id))


def word_for_team(notice: Notice) -> str:
    """The sentence for a channel that a whole team reads: it names no row and no person."""
    stage = _STAGE_WORDS.get(notice.stage, "")
    if notice.kind == NoticeKind.QUEUE.value:
        return f"Rows wait{stage}."
    return _SENTENCES[notice.kind].format(about="", named="", stage=stage)


def _path(notice: Notice, row_id: str) -> str:
    campaign = f"/quorum/campaign/{notice.campaign_id}/"
    if notice.kind in (NoticeKind.QUESTION.value, NoticeKind.DISPUTE.value):
        return f"{campaign}threads/" + (f"?row={quote(row_id, safe='')}" if row_id else "")
    if notice.kind in (NoticeKind.BLOCKED.value, NoticeKind.DONE.value):
        return campaign
    if notice.kind == NoticeKind.GUIDELINES.value:
        return f"/quorum/guidelines/{notice.campaign_id}/"
    return f"/quorum/mine/answers/{notice.campaign_id}/" if notice.kind == NoticeKind.UPHELD.value else "/quorum/mine/"
