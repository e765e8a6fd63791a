"""A rule of the access table, and a call that was let in by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum, auto
from types import MappingProxyType
from typing import Any

from ls_plugin.access.scope import Way
from ls_plugin.people.standings import CampaignPlace, Standing
from ls_plugin.store.refusals import Refused


class Who(IntEnum):
    """The least that somebody has to be."""

    ANYBODY = 0  # also without signing in
    PERSON = 1  # signed in and a member of the organisation
    WORKER = 2  # works in the project, or manages it
    LEADER = 3  # manages something, whatever it is: for what is nobody's in particular
    MANAGER = 4  # manages the project; without one, every campaign of the server
    OWNER = 5  # of the server
    NOBODY = 6  # switched off


class AtWork(Enum):
    """Where a manager who also works in a campaign is at work, and so shown what an ordinary person is."""

    NEVER = auto()
    QUEUE = auto()  # always: the address is the queue's
    NEXT_TASK = auto()  # asking the data manager for the next task
    IN_HAND = auto()  # on a task that they have in hand


Check = Callable[["Call", Any, Mapping[str, Any]], None]
"""Refuses a call, the request and what the route found in the address, or lets it pass."""

Show = Callable[["Call", Any, Any], Any]
"""What an ordinary person is shown of a response's data: call, request, data → data."""

Checks = Mapping[str, Check]
_NO_CHECKS: Checks = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class AccessRule:
    """What a view asks of its caller.

    Attributes:
        methods: HTTP method → who may; HEAD goes by GET, OPTIONS tells nobody anything.
        project: where the project is named; all that is named must be the same one, also in ``project`` or ``view`` of
            query and body. None: the view is about no project.
        rows: whether the body holds rows, whose columns may bear any name.
        check: further checks before the view runs, by method.
        show: what an ordinary person is shown of the response; without one they get no response of this view.
        manager_check: checks for managers too, on projects of a campaign.
        at_work: where a manager who also works in the campaign is shown what an ordinary person is.
    """

    methods: Mapping[str, Who]
    project: tuple[Way, ...] = ()
    rows: bool = False
    check: Checks = field(default_factory=lambda: _NO_CHECKS)
    show: Show | None = None
    manager_check: Checks = field(default_factory=lambda: _NO_CHECKS)
    at_work: AtWork = AtWork.NEVER

    def who(self, method: str) -> Who:
        """Who may call the view by this method; a method that is not named is nobody's."""
        if method == "HEAD":
            method = "GET"
        return self.methods.get(method, Who.NOBODY)


@dataclass(frozen=True, slots=True)
class Call:
    """A call that was let in: by whom, on what.

    Attributes:
        standing: the caller; None for a stranger at an address that is open to anybody.
        rule: the rule that let it in.
        place: the campaign project it concerns, if any.
        project_id: the project it concerns, if any.
        ordinary: whether the caller is shown only what the rule's filter passes.
    """

    standing: Standing | None
    rule: AccessRule
    place: CampaignPlace | None
    project_id: int | None
    ordinary: bool

    @property
    def shows_less(self) -> bool:
        """Whether the page's buttons are those of an ordinary person: not on the pages of all projects together."""
        return self.ordinary and not (self.project_id is None and self.signed_in.manager_somewhere)

    @property
    def signed_in(self) -> Standing:
        """The caller, at an address where there is one for sure.

        Raises:
            Refused: ``sign_in`` for a stranger.
        """
        if self.standing is None:
            raise Refused("sign_in")
        return self.standing


def call_of(request: Any) -> Call | None:
    """The decided call behind a request, where there is one."""
    return getattr(getattr(request, "_request", request), "quorum_call", None)


def ordinary_call(request: Any) -> Call | None:
    """The call behind a request if an ordinary person made it."""
    call = call_of(request)
    return call if call is not None and call.ordinary else None


def remember(request: Any, call: Call) -> None:
    """Keep the decided call with Django's request, where :func:`call_of` finds it."""
    request.quorum_call = call
