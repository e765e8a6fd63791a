"""Quorum's own endpoints, for managers; their JSON is described in docs/plugin.md."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import timedelta
from importlib.metadata import version
from typing import Any

from django.db import transaction
from projects.models import Project
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from users.models import User

from label_studio_quorum.campaign.change_plan import ChangeCost
from label_studio_quorum.port import ServerFault
from ls_plugin.access.answer_content import violated_checks
from ls_plugin.access.call import call_of
from ls_plugin.access.parameters import parameters
from ls_plugin.access.submission_content import ANSWERS_LARGEST, require_storable
from ls_plugin.models import Campaign, Slot, Stage
from ls_plugin.pages import audit, checkup, figures, flags
from ls_plugin.pages.callers import caller, managed_campaign, managed_campaigns
from ls_plugin.people import team
from ls_plugin.queue import changes, handout, practice, publishing, qualification, reconcile, skips
from ls_plugin.queue.known_forms import fill_forms
from ls_plugin.queue.reopening import reopen
from ls_plugin.queue.server_port import ServerPort
from ls_plugin.store import campaign_locks, clock
from ls_plugin.store.refusals import Refused

_LONGEST_NAME = 200
_LONGEST_TOKEN = 64
_LONGEST_DOING = 40
_LONGEST_LEASE_S = 300
_MOST_WITHDRAWN = 500
# What a change marks beyond these is reconciled by whoever asks for it, so that no request takes minutes.
_ROWS_A_REQUEST = 500


class _View(APIView):
    permission_classes = (IsAuthenticated,)

    def managed(self) -> list[Campaign]:
        """The campaigns that the caller manages."""
        return managed_campaigns(caller(self.request))

    def campaign(self, name: Any) -> Campaign:
        """The campaign of this name, which the caller must manage; their only one if no name is given."""
        return managed_campaign(caller(self.request), name)

    def is_told_all(self, campaign: Campaign) -> bool:
        """Whether the caller may know what a change does to open rows.

        Trying out policies would tell a manager who works in the campaign whether others agree with them.
        """
        call = call_of(self.request)
        return call is not None and not call.signed_in.works_in_campaign(campaign.pk)

    def require_affordable(self, campaign: Campaign, wanted: changes.Wanted) -> None:
        """Refuse a change that loses answers, and one that costs decided rows unless the caller says `yes`."""
        confirmed = parameters(self.request).get("yes") is True
        changes.require_affordable(campaign, wanted, confirmed=confirmed, of_all_rows=self.is_told_all(campaign))


class VersionView(_View):
    """Says that the plugin is here; how the commands find out."""

    def get(self, request: Request) -> Response:
        """Versions."""
        versions = {"quorum": version("label-studio-quorum"), "label_studio": version("label-studio")}
        return Response({**versions, "plugin": True, "clock_lag_s": round(clock.lag().total_seconds(), 1)})


class PutOffView(_View):
    """Says to people which rows of a project they have put off, and until when each is kept for them."""

    def get(self, request: Request) -> Response:
        """The caller's rows in the project of `?project=`, the last put off at the end, and how many there may be."""
        call = call_of(request)
        if call is None or call.project_id is None:
            raise Refused("no_project")
        rows = handout.rows_put_off(call.signed_in.user_id, call.project_id)
        return Response(
            {
                "rows": [{"row_id": row_id, "until": end.isoformat()} for row_id, end in rows],
                "most": handout.MOST_PUT_OFF,
            }
        )


class CampaignView(_View):
    """Tells the server about a campaign: from then on its rules hold."""

    def put(self, request: Request) -> Response:
        """Create the campaign or change its policy, team and projects."""
        body = parameters(request)
        name, policy, people = (_text(request, key) for key in ("name", "policy", "team"))
        projects = _projects(request)
        interface = _optional_text(request, "interface")
        if Campaign.objects.filter(name=name).exists():
            stored = self.campaign(name)  # refuses whoever does not manage it
            wanted = changes.Wanted(policy=policy, team=people, interface=interface)
            self.require_affordable(stored, wanted)
        known = qualification.read(body["qualification"]) if "qualification" in body else None
        practised = practice.read(body["practice"]) if "practice" in body else None
        with transaction.atomic():
            task = str(body.get("task") or "")
            campaign = team.save_campaign(name, task, policy, people, projects, interface)
            # Inside the transaction, as the team that was just stored says who manages.
            call = call_of(request)
            if call is None or not (call.signed_in.owner or team.manages(campaign, call.signed_in.user_id)):
                raise Refused("last_manager", "Name yourself a manager in the team file: it would lock you out.")
            if practised is not None:
                practice.require_apart(campaign.pk, practised, campaign.qualification if known is None else known)
                campaign.practice = practised
                campaign.save(update_fields=["practice"])
        if known is not None:
            if known != campaign.qualification:
                qualification.forget_notes(campaign.pk, qualification.stored_qualification(campaign))
            Campaign.objects.filter(pk=campaign.pk).update(qualification=known)
        sent = body.get("guidelines")
        taken = publishing.take(campaign, sent, call.signed_in.user_id) if isinstance(sent, str) else None
        asked = qualification.qualification_of(campaign.pk)
        qualification.seat_everybody(campaign.pk, asked)
        if asked is not None:
            fill_forms(campaign.pk, asked.rows)
        reconcile.drain(campaign.pk, _ROWS_A_REQUEST)
        return Response(_campaign(campaign) | ({} if taken is None else {"guidelines": taken.to_json()}))

    def get(self, request: Request) -> Response:
        """The campaigns of this server that the caller manages; with ``name`` that one, and the files it goes by."""
        name = request.query_params.get("name")
        if not name:
            return Response({"campaigns": [_campaign(each) for each in self.managed()]})
        named = [each for each in self.managed() if each.name == name]
        return Response({"campaigns": [_campaign(each) | {"files": _files(each)} for each in named]})


class LockView(_View):
    """Lets one command at a time set a campaign up or import its rows."""

    def post(self, request: Request) -> Response:
        """Take the campaign's lock, or keep it, for so many seconds; none lets it go."""
        name, token, doing = (_text(request, key) for key in ("name", "token", "doing"))
        if len(name) > _LONGEST_NAME or len(token) > _LONGEST_TOKEN or len(doing) > _LONGEST_DOING:
            raise Refused("bad_request", "`name`, `token` or `doing` is too long.")
        seconds = parameters(request).get("seconds")
        if not isinstance(seconds, int) or seconds < 0:
            raise Refused("bad_request", "`seconds` must be a whole number.")
        if Campaign.objects.filter(name=name).exists():
            self.campaign(name)  # refuses whoever does not manage it
        if not seconds:
            campaign_locks.let_go(name, token)
            return Response({"mine": False})
        call = call_of(self.request)
        user_id = call.signed_in.user_id if call else 0
        holding = campaign_locks.take(name, token, doing, user_id, timedelta(seconds=min(seconds, _LONGEST_LEASE_S)))
        by = User.objects.filter(pk=holding.user_id).values_list("email", flat=True).first()
        mine = holding.token == token
        return Response({"mine": mine, "doing": holding.doing, "by": by, "since": holding.since.isoformat()})


class TeamView(_View):
    """Makes accounts and roles those of a team file."""

    def post(self, request: Request) -> Response:
        """Apply a team file; one-time passwords of new accounts are in the answer and nowhere else."""
        body = parameters(request)
        campaign, text, dry_run = self.campaign(body.get("name")), _text(request, "team"), bool(body.get("dry_run"))
        if not dry_run:
            self.require_affordable(campaign, changes.Wanted(team=text))
        applied = team.apply_team(campaign, text, dry_run=dry_run)
        reconcile.drain(campaign.pk, _ROWS_A_REQUEST)
        return Response(applied.to_json())


class PlanView(_View):
    """Says what a change of policy, team or interface would do, and changes nothing."""

    def post(self, request: Request) -> Response:
        """Reckon for one page of rows: those after the Pass task ``after``; ``next`` is where the next page begins."""
        body = parameters(request)
        campaign, after = self.campaign(body.get("name")), body.get("after") or 0
        if type(after) is not int:
            raise Refused("bad_request", "`after` is the number of a task.")
        texts = {key: _optional_text(request, key) for key in ("policy", "team", "interface")}
        if not changes.can_be_reckoned(campaign):
            why = "the interface on the server cannot be read, so no row can be decided by it"
            return Response({"changes": [why], "cost": ChangeCost().to_json(), "next": None, "rows": 0})
        change = changes.Change.read(campaign, changes.Wanted(**texts))
        cost, following = change.page(campaign.pk, after) if change.changes_decisions else (ChangeCost(), None)
        rows = 0 if after or not change.changes_decisions else changes.touched(campaign.pk).count()
        if not self.is_told_all(campaign):
            cost = cost.of_decided_rows()
        return Response({"changes": change.words, "cost": cost.to_json(), "next": following, "rows": rows})


class WithdrawView(_View):
    """Takes rows back that nobody has answered, many in one request."""

    def post(self, request: Request) -> Response:
        """Delete those of the tasks that have no answer at this moment; how many went."""
        body = parameters(request)
        project, tasks = body.get("project"), body.get("tasks")
        if type(project) is not int or not isinstance(tasks, list) or not all(type(task) is int for task in tasks):
            raise Refused("bad_request", "`project` is a project's number, and `tasks` are numbers of its tasks.")
        if len(tasks) > _MOST_WITHDRAWN:
            raise Refused("bad_request", f"`tasks` holds more than {_MOST_WITHDRAWN:,} tasks.")
        owner = Campaign.objects.filter(projects__project_id=project).first()
        if owner is None or owner not in self.managed():
            raise Refused("no_project")
        with transaction.atomic():
            own = Slot.objects.filter(project_id=project, task_id__in=tasks).values_list("task_id", flat=True)
            gone = ServerPort().withdraw(project, list(own))
        return Response({"withdrawn": gone})


class StatusView(_View):
    """Where a campaign stands."""

    def get(self, request: Request) -> Response:
        """The figures of the manager's page."""
        campaign, call = self.campaign(request.query_params.get("name")), call_of(request)
        works = call is not None and call.signed_in.works_in_campaign(campaign.pk)
        return Response(figures.of_campaign(campaign, call.signed_in.user_id if call and works else None).to_json())


class AuditView(_View):
    """Proves from the audit log that nobody was served a peer's answer before submitting."""

    def get(self, request: Request) -> Response:
        """Check the audit log; with ``head=<number>:<hash>`` also against an end that was noted earlier."""
        noted = audit.parse_head(request.query_params.get("head"))
        return Response(audit.run(self.campaign(request.query_params.get("name")), noted).to_json())


class ReopenView(_View):
    """Opens a row again that is decided, or whose answers are closed since the next stage began."""

    def post(self, request: Request) -> Response:
        """Reopen one row, with a reason."""
        campaign, row_id, reason = (
            self.campaign(parameters(request).get("name")),
            _text(request, "row_id"),
            _text(request, "reason"),
        )
        call = call_of(request)
        reopened = reopen(campaign, row_id, reason, call.signed_in.user_id if call else 0)
        return Response(reopened.to_json())


class SkipsView(_View):
    """Gives rows that a person has skipped back to them."""

    def post(self, request: Request) -> Response:
        """Give one row back, or all that the person has skipped."""
        campaign, person = self.campaign(parameters(request).get("name")), _text(request, "person")
        row_id, call = parameters(request).get("row_id"), call_of(request)
        wanted = _text(request, "row_id") if row_id is not None else ""
        rows = skips.give_back(campaign, person, wanted, call.signed_in.user_id if call else 0)
        return Response({"person": person, "given_back": rows})


class FlagsView(_View):
    """Says which rows people flagged, and why."""

    def get(self, request: Request) -> Response:
        """The flags of a campaign, each with its rows; with `flag` one alone, with `after` a later page of it."""
        asked = request.query_params
        campaign, call = self.campaign(asked.get("name")), call_of(request)
        standing = call.signed_in if call else None
        works_here = standing is not None and standing.works_in_campaign(campaign.pk)
        viewer = standing.user_id if standing else 0
        figures_by_flag = flags.flags_of(
            campaign, viewer, works_here=works_here, only=asked.get("flag", ""), after=asked.get("after", "")
        )
        return Response({"campaign": campaign.name, "flags": [flag.to_json() for flag in figures_by_flag]})


class ChecksView(_View):
    """Says which checks of an interface what stands in a form violates."""

    def post(self, request: Request) -> Response:
        """Look at a result that was sent; nothing is read beside it and nothing is kept."""
        require_storable(request, ANSWERS_LARGEST)
        call, body = call_of(request), parameters(request)
        result = body.get("result")
        if not isinstance(result, list):
            raise Refused("bad_request", "`result` is the list of regions that the form would send.")
        if call is None or call.project_id is None:
            raise Refused("bad_request", "`task` is the number of the task that it answers.")
        return Response({"checks": [check.to_json() for check in violated_checks(result, call.project_id)]})


class CheckupView(_View):
    """Says what is wrong with a campaign in the database."""

    def get(self, request: Request) -> Response:
        """Look, and change nothing."""
        campaign = self.campaign(request.query_params.get("name"))
        faults = [*checkup.find_faults(campaign), *checkup.find_silence(campaign)]
        return Response({"name": campaign.name, "faults": _faults(faults)})


class RepairView(_View):
    """Sets right what is wrong in the database, and reconciles rows: all, or those that changed since they were."""

    def post(self, request: Request) -> Response:
        """Bring projects, seats and queues in line with the rules; says what was mended and what is left.

        With `limit` only so many rows are reconciled that wait for it: how a change of many is finished in pages.
        """
        body = parameters(request)
        campaign, limit = self.campaign(body.get("name")), body.get("limit") or 0
        if type(limit) is not int or limit < 0:
            raise Refused("bad_request", "`limit` is a number of rows.")
        if limit:
            return Response({"name": campaign.name, "reconciled": reconcile.drain(campaign.pk, limit)})
        mended, done = checkup.repair(campaign)
        if body.get("all"):
            done = reconcile.reconcile_all(campaign.pk)
        left = checkup.find_faults(campaign)
        return Response({"name": campaign.name, "reconciled": done, "mended": _faults(mended), "faults": _faults(left)})


def _faults(faults: Iterable[ServerFault]) -> list[dict[str, Any]]:
    return [asdict(fault) for fault in faults]


def _optional_text(request: Request, key: str) -> str | None:
    return None if parameters(request).get(key) is None else _text(request, key)


def _text(request: Request, key: str) -> str:
    value = parameters(request).get(key)
    if not isinstance(value, str) or not value.strip():
        raise Refused("bad_request", f"`{key}` is missing: a text.")
    return value


def _projects(request: Request) -> dict[Stage, int]:
    sent = parameters(request).get("projects")
    stages = {stage.label: stage for stage in Stage}
    if not isinstance(sent, dict) or set(sent) != set(stages):
        raise Refused("bad_request", "`projects` names the three projects: pass, qa, expert.")
    try:
        projects = {stages[key]: int(value) for key, value in sent.items()}
    except (TypeError, ValueError):
        raise Refused("bad_request", "`projects` holds project ids.") from None
    if len(set(projects.values())) != len(stages) or Project.objects.filter(pk__in=projects.values()).count() != len(
        stages
    ):
        raise Refused("no_project", "`projects` names three different projects of this server.")
    return projects


def _files(campaign: Campaign) -> dict[str, Any]:
    return {"policy": campaign.policy_text, "team": campaign.team_text, "guidelines": campaign.guidelines}


def _campaign(campaign: Campaign) -> dict[str, Any]:
    return {
        "id": campaign.pk,
        "name": campaign.name,
        "task": campaign.task,
        "policy": campaign.policy_hash,
        "projects": {Stage(project.stage).label: project.project_id for project in campaign.projects.all()},
        "people": [
            {
                "id": member.person_id,
                "email": member.email,
                "account": member.user_id is not None,
                "user": member.user_id,
            }
            for member in campaign.members.order_by("person_id")
        ],
        "rows": Slot.objects.filter(
            project_id__in=campaign.projects.filter(stage=Stage.PASS).values("project_id")
        ).count(),
        "qualification": qualification.summary(campaign.pk),
        "practice": len(campaign.practice.get("rows", ())),
        "page": f"/quorum/campaign/{campaign.pk}/",
    }
