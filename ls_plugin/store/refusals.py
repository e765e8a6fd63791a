"""What a refused caller reads: a code for programs, a sentence for people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from urllib.parse import urlencode

from core.utils.common import custom_exception_handler
from django.db import DataError, IntegrityError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from rest_framework.exceptions import APIException
from rest_framework.response import Response

from ls_config.interface import InterfaceError
from ls_plugin.store import retries
from review_rules import FaultsError

# code: (HTTP status, sentence)
REASONS: dict[str, tuple[int, str]] = {
    "unknown_view": (403, "Quorum has no rule for this address, and what has no rule is refused."),
    "sign_in": (401, "Sign in first."),
    "one_time_password": (
        403,
        "You signed in with a password that somebody else gave you: choose your own first, at /quorum/password/.",
    ),
    "other_site": (
        403,
        "A page of another site may not act in your name (CSRF_TRUSTED_ORIGINS names your own).",
    ),
    "no_role": (403, "Your roles in this campaign do not include this."),
    "managers_only": (403, "Only a manager may do this."),
    "owner_only": (403, "Only the owner of this server may do this."),
    "nobody": (403, "This address is switched off on a server that runs Quorum."),
    "not_member": (403, "You are no longer a member of this server's organisation."),
    "no_project": (404, "You do not work in this project, or there is no such project."),
    "not_yours": (404, "This is not yours, or there is no such thing."),
    "not_given": (403, "This task was not given to you: take the next task from the queue."),
    "project_mismatch": (400, "The project named in the request is not the one that this belongs to."),
    "field_not_allowed": (403, "This field may not be set here."),
    "on_behalf": (403, "A submission is made by the person who is signed in, for nobody else and from nobody else's."),
    "ground_truth": (403, "Whether an answer is the known one is not for its author to say."),
    "second": (409, "You have answered this task already: change your answer instead."),
    "full": (409, "Everybody who was asked has answered this task."),
    "excluded": (403, "You had another part in this row, or saw others' answers to it: others answer it."),
    "returned": (
        409,
        "QA gave this row back to you: take it from the queue and answer it again; your earlier answer stays.",
    ),
    "returned_skip": (
        409,
        "QA gave this row back to you, so it is not skipped: answer it again, also as it was, or ask about it.",
    ),
    "sealed": (409, "The row has gone on, so this answer stays as it is; a manager can reopen the row."),
    "decided": (409, "The row is decided, so its answers stay as they are; a manager can reopen it, with a reason."),
    "not_reopened": (409, "There is nothing to reopen about this row."),
    "no_skips": (403, "Rows of this campaign are not skipped: set a flag if something is wrong with one."),
    "skip_limit": (409, "You have skipped as many rows in the last 24 hours as this campaign allows: answer this one."),
    "skip_reason": (400, "A skip needs a reason: set a flag, or write why beside the flags, then skip."),
    "flag_reason": (400, "A flag needs a reason: write why beside the flags, then send again."),
    "skip_final": (409, "A skip stays; a manager can give the row back to you."),
    "skip_stays": (403, "An answer cannot become a skip, nor a skip an answer, by a change."),
    "author": (403, "An answer keeps its author and its task."),
    "task_data": (409, "The data of a row never changes after import."),
    "closed": (409, "This task is not open any more."),
    "keep_answers": (403, "Answers of a campaign are not deleted one by one; a manager can reopen the row."),
    "answered": (409, "Somebody has answered this, and the answers would be lost for good with it."),
    "marker": (
        409,
        "The line of the description that begins with quorum: ties this project to its campaign: it stays as it is. "
        "Write above it.",
    ),
    "own_import": (
        403,
        "Rows come into a campaign by quorum import, which checks them; what comes in otherwise would be labelled and "
        "be in no figure and no export.",
    ),
    "policy_decides": (403, "The policy of the campaign decides this; change the policy with quorum setup."),
    "outlet": (403, "You work in this campaign, so its answers go nowhere at your word; another manager may do this."),
    "keeps_projects": (409, "A campaign keeps its projects as long as they are there."),
    "no_answers_in": (403, "Answers come into a campaign only from the people who give them."),
    "no_predictions": (403, "Predictions come from the models, not from people."),
    "action": (403, "This action would change answers or task data of a campaign."),
    "no_task": (404, "There is nothing for you in this queue at the moment."),
    "all_done": (404, "All rows of this campaign are done."),
    "qualify": (404, "You have not reached the bar of the qualification yet; a manager can help you on."),
    "acknowledge": (404, "The guidelines have changed: read and acknowledge them, then your next row comes."),
    "guidelines_changed": (409, "The guidelines have changed meanwhile: look at the version that holds now."),
    "guidelines_same": (409, "These guidelines hold already."),
    "guidelines_stay": (409, "A version of the guidelines stays as it was published: publish another one."),
    "has_work": (
        409,
        "Answers of a campaign stand behind this account, so it is deactivated, not deleted: set `left:` in the team "
        "file and run quorum team apply.",
    ),
    "loses_answers": (409, "Stored answers would be lost: they do not fit the new interface."),
    "costs_gold": (409, "Decided rows would be open again: send `yes` to do it."),
    "interface": (409, "The interface of a campaign is changed with quorum setup, which says what that costs."),
    "address_taken": (409, "The new address in the team file is that of another account."),
    "last_manager": (409, "This would leave the campaign without a manager who can sign in."),
    "bad_request": (400, "The request cannot be read."),
    "bad_answer": (400, "The answer cannot be stored: it does not fit the form."),
    "no_dispute": (409, "There is no decision here that you could dispute."),
    "message_stays": (409, "What was said in a thread stays as it is: say what is to be added."),
    "too_many_messages": (409, "You have said as much as fits into the thread of one row: ask your manager directly."),
    "not_published": (409, "Everybody would learn a known answer: tell them in words of your own instead."),
    "too_large": (413, "This is longer than anybody could open again."),
    "too_many_drafts": (409, "You have ten drafts of this row already: open one of them, or send your answer."),
    "not_counted": (409, "The answer is not stored: by the rules it would not count."),
    "check_failed": (409, "The answer is not stored: it violates a rule between its fields."),
    "clock_back": (503, "The server's clock was set back: answers would count as given before those that are there."),
    "busy": (503, "The server is busy; try again."),
    "no_database": (503, "The database does not answer; nothing was stored. Try again in some seconds."),
}
_PASSING = frozenset({"busy", "no_database"})
# PostgreSQL's words when a draft or an answer comes to a task that was withdrawn meanwhile
_TASK_IS_GONE = 'is not present in table "task"'
# Django's words when a value is looked up that cannot be a number
_NO_NUMBER = re.compile(r"Field '\w+' expected a number but got ")
_FROM_DATABASE = re.compile(r"quorum:([a-z_]+)")


class Refused(APIException):
    """A refusal with its code; the sentence follows from the code unless one is given, and `more` is for programs."""

    def __init__(self, code: str, detail: str | None = None, more: Mapping[str, Any] | None = None) -> None:
        self.status_code, sentence = REASONS[code]
        self.reason = code
        self.more = dict(more or {})
        super().__init__(detail or sentence, code)

    @property
    def headers(self) -> dict[str, str]:
        """What a program reads beside it: when to try again, where that helps."""
        return {"Retry-After": "5"} if self.reason in _PASSING else {}

    def payload(self) -> dict[str, Any]:
        """The JSON body."""
        return {**self.more, "code": self.reason, "detail": str(self.detail), "status_code": self.status_code}


def from_database(error: BaseException) -> Refused | None:
    """The refusal behind a database error, if one of our own rules raised it."""
    if not isinstance(error, IntegrityError):
        return None
    if _TASK_IS_GONE in str(error):
        return Refused("closed")
    code = _FROM_DATABASE.search(str(error))
    return Refused(code.group(1)) if code and code.group(1) in REASONS else None


def exception_handler(error: Exception, context: dict[str, Any]) -> Response:
    """Answer an exception of a REST view.

    A refusal is answered by its code and sentence, faults of a file one by one, and the rest as Label Studio does.
    """
    if isinstance(error, FaultsError):
        body = {"code": "faults", "detail": "The file has faults.", "faults": [asdict(fault) for fault in error.faults]}
        return Response(body, status=400)
    refused = error if isinstance(error, Refused) else from_database(error)
    if isinstance(error, InterfaceError):
        refused = Refused("bad_request", "; ".join(error.faults))
    if isinstance(error, RecursionError):
        refused = Refused("bad_request", "The request is nested too deeply.")
    # What no view has checked fails where it is stored: the caller's fault all the same, not the server's.
    if isinstance(error, DataError):
        refused = Refused("bad_request", "A value in the request does not fit where it would be stored.")
    if isinstance(error, OverflowError) or (isinstance(error, ValueError | TypeError) and _NO_NUMBER.match(str(error))):
        refused = Refused("bad_request", "A value in the request is not the number that it should be.")
    # Tried again several times before: the caller may try once more.
    if refused is None and retries.was_lost(error):
        refused = Refused("busy")
    if refused is None and retries.is_away(error):
        refused = Refused("no_database")
    if refused is not None:
        return Response(refused.payload(), status=refused.status_code, headers=refused.headers)
    response: Response = custom_exception_handler(error, context)
    return response


def page(request: HttpRequest, refused: Refused) -> HttpResponse:
    """The answer of a plain Django view: a page for browsers, JSON for programs, the sign-in form for strangers."""
    wants_page = "text/html" in request.headers.get("Accept", "")
    if refused.reason == "sign_in" and wants_page:
        return redirect(f"/user/login/?{urlencode({'next': request.get_full_path()})}")
    if refused.reason == "one_time_password" and wants_page:
        return redirect("/quorum/password/")
    if wants_page:
        return render(request, "quorum/refused.html", refused.payload(), status=refused.status_code)
    return JsonResponse(refused.payload(), status=refused.status_code)
