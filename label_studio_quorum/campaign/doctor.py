"""What may be wrong with a campaign's installation, line by line, and what to do about each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

import httpx

from label_studio_quorum.adapters.label_studio import HttpLabelStudio
from label_studio_quorum.campaign.accounts import check_team
from label_studio_quorum.campaign.differences import (
    differing_policy,
    differing_team,
    interface_differences,
    plain,
    short,
    team_digest,
)
from label_studio_quorum.campaign.doubtful import doubtful_answers, summed_up
from label_studio_quorum.campaign.lost_projects import unmarked_projects
from label_studio_quorum.campaign.projects import (
    ANY_TEAM,
    CHANGED_INTERFACE,
    PUTS,
    STAGES,
    Campaign,
    assemble,
    find_all,
    is_interface_changed,
    kept_rules,
    marker_of,
    takes_any_team,
)
from label_studio_quorum.campaign.reconcile import decide_rows, reconcile
from label_studio_quorum.campaign.row_task import is_as_imported
from label_studio_quorum.campaign.served_version import serving_faults
from label_studio_quorum.campaign.setup import CampaignSpec, project_settings, settings_drift
from label_studio_quorum.campaign.snapshot import Snapshot
from label_studio_quorum.campaign.webhooks import own_webhook
from label_studio_quorum.port import Json, KeptFiles, Project, ServerError, User
from ls_config.interface import Interface
from review_rules import FaultsError, Person, Policy, Stage, Team
from review_rules.files.checks import load_checks
from review_rules.staffing import shortages

OLDEST: Final = (1, 20)
TRIED: Final = "1.23.2"
_HEALTH_S: Final = 5.0
_CLOCK_LAG_S: Final = 10
"""The plugin refuses answers from so many seconds on."""
_CLOCK_OFF_S: Final = 60
_ANALYTICS: Final = re.compile(r"collect_analytics\s*[:=]\s*(true|false)")
_SENTRY: Final = "sentry-cdn.com"


class Level(StrEnum):
    """How bad it is: `warn` lets work go on, `fail` does not."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One line of the diagnosis."""

    level: Level
    about: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        """The line as people read it.

        >>> str(Check(level=Level.WARN, about="webhooks", message="none", hint="run quorum sync --watch"))
        'warn  webhooks: none; run quorum sync --watch'
        """
        return f"{self.level.value:<6}{self.about}: {self.message}{f'; {self.hint}' if self.hint else ''}"

    def to_json(self) -> Json:
        """The object that `quorum doctor --json` lists."""
        return {"level": self.level.value, "about": self.about, "message": self.message, "hint": self.hint}


def _ok(about: str, message: str) -> Check:
    return Check(level=Level.OK, about=about, message=message)


def _warn(about: str, message: str, hint: str) -> Check:
    return Check(level=Level.WARN, about=about, message=message, hint=hint)


def _fail(about: str, message: str, hint: str) -> Check:
    return Check(level=Level.FAIL, about=about, message=message, hint=hint)


def diagnose(
    port: HttpLabelStudio,
    name: str | None,
    *,
    policy: Policy | None,
    team: Team | None,
    interface: Interface | None = None,
    full: bool = False,
) -> Iterator[Check]:
    """Check everything that can be seen from outside.

    Args:
        port: The server.
        name: The campaign; None checks the server and, if it holds just one, that one.
        policy: The policy file, if known; checked is by the server's, where it keeps one.
        team: The team file, in the same manner.
        interface: The interface that this machine set the campaign up with, if known.
        full: Read every row too; of a stock server, which keeps no account of itself, they are read anyhow.

    Yields:
        One line a check; the first failing one of the connection is the last.
    """
    try:
        version, users = port.version(), port.users()
    except ServerError as error:
        yield _fail("connection", error.message, error.hint or "see the server's log")
        return
    yield _ok("connection", f"{port.url} answers, the key is accepted")
    yield _version(version)
    plugin = port.plugin_version()
    if plugin is None:
        yield _warn(
            "rules on the server",
            "a stock server: it shows people each other's answers by its API, and lets them answer twice, edit each "
            "other's answers and change projects",
            "what breaks a rule never counts; run the server with Quorum's plugin to have it refused",
        )
    else:
        yield _ok("rules on the server", f"Quorum's plugin {plugin} refuses what the rules forbid")
    yield check_clock(port.server_time(), datetime.now(UTC), 0.0 if plugin is None else port.plugin_clock_lag())
    yield _telemetry(port.url)
    projects = port.projects()
    campaigns = find_all(projects)
    only = next(iter(campaigns)) if name is None and len(campaigns) == 1 else name
    kept = port.kept_files(only) if only in campaigns and only is not None else None
    if kept is not None:
        yield from check_files(policy, team, kept)
        policy, team = kept_rules(kept)
    if interface is not None and only in campaigns and Stage.PASS in campaigns[only]:
        yield from check_interface(interface, campaigns[only][Stage.PASS][0])
    if team is not None:
        yield from check_people(team, policy, users, None if name is None else port.links(name))
    yield from _server_faults(port, name)
    yield from _campaigns(port, projects, name, policy, team, is_kept=kept is not None, full=full or plugin is None)


def check_interface(interface: Interface, project: Project) -> Iterator[Check]:
    """Whether interface and guidelines of this machine are what people are shown."""
    page = str(project.settings.get("expert_instruction") or "")
    for about, differences in (
        ("interface file", interface_differences(interface, project.label_config)),
        ("guidelines file", "" if plain(interface.guidelines_html) == plain(page) else "other guidelines"),
    ):
        if differences:
            yield _warn(
                about,
                f"it is not what the server shows: {differences}",
                "run quorum interface pull to take the server's, or quorum setup to have people see the file's",
            )


def check_files(policy: Policy | None, team: Team | None, kept: KeptFiles) -> Iterator[Check]:
    """Whether the files of this machine say what the server goes by; where they do not, the server's count."""
    there = kept_rules(kept)
    for kind, differences in (
        ("policy", "" if policy is None else differing_policy(policy, there[0])),
        ("team", "" if team is None else differing_team(team, there[1])),
    ):
        if differences:
            yield _warn(
                f"{kind} file",
                f"it is not what the server goes by: {differences}",
                f"run quorum {kind} pull to take the server's, or {PUTS[kind]} to have the server go by the file",
            )


def _server_faults(port: HttpLabelStudio, name: str | None) -> Iterator[Check]:
    """What the plugin finds wrong in the database, of which nobody who looks at projects and tasks sees a trace."""
    for fault in port.server_faults(name):
        yield (_fail if fault.stops else _warn)(fault.about, fault.message, fault.hint)


def _version(version: str) -> Check:
    parts = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if len(parts) < 2:
        return _warn("version", f"the server does not say its version ({version})", f"tried is Label Studio {TRIED}")
    if parts < OLDEST:
        return _fail("version", f"Label Studio {version}", "it is too old; update to 1.20 or newer")
    if version != TRIED:
        return _warn(
            "version", f"Label Studio {version}", f"tried is {TRIED}; run quorum doctor --full after each update"
        )
    return _ok("version", f"Label Studio {version}")


def _telemetry(url: str) -> Check:
    """Label Studio says on its login page whether it reports to its makers."""
    try:
        page = httpx.get(f"{url}/user/login/", timeout=_HEALTH_S, trust_env=False, follow_redirects=True).text
    except httpx.HTTPError as error:
        return _warn("telemetry", f"the login page does not answer ({type(error).__name__})", "open it in a browser")
    analytics = _ANALYTICS.search(page)
    if analytics is None:
        return _warn("telemetry", "the login page does not say whether it is on", "set COLLECT_ANALYTICS=False")
    if analytics.group(1) == "true" or _SENTRY in page:
        hint = (
            "start the server with COLLECT_ANALYTICS=False SENTRY_DSN= FRONTEND_SENTRY_DSN= LATEST_VERSION_CHECK=False"
        )
        return _warn("telemetry", "Label Studio reports usage to its makers", hint)
    return _ok("telemetry", "off")


def check_clock(server: datetime | None, here: datetime, lag_s: float) -> Check:
    """Check that the server's clock runs forward, and is about right.

    Args:
        server: What it says, to the second; None where it does not say.
        here: What this machine's clock says.
        lag_s: Seconds by which it lies behind what the plugin wrote last.
    """
    if lag_s > _CLOCK_LAG_S:
        return _fail(
            "clock",
            f"the server's clock is {lag_s:,.0f} s behind what it wrote last: it was set back, and nobody can answer",
            "set it right, or wait until it has caught up",
        )
    off = 0.0 if server is None else (server - here).total_seconds()
    if abs(off) > _CLOCK_OFF_S:
        which = "ahead of" if off > 0 else "behind"
        return _warn(
            "clock",
            f"the server's clock is {abs(off):,.0f} s {which} this machine's",
            "see which is wrong: rows are decided by the server's, and one that is set back later stops the work",
        )
    return _ok("clock", "runs forward, and agrees with this machine's")


def check_people(
    team: Team, policy: Policy | None, users: list[User], links: Mapping[int, str] | None = None
) -> Iterator[Check]:
    """Check that everybody has an account, and that together they can finish rows under the policy."""
    accounts = check_team(team, users, links)
    for person in accounts.missing:
        yield _fail("team", f"{person.id} has no account ({person.email})", "run quorum team apply")
    for person in accounts.without_email:
        yield _fail("team", f"{person.id} has no email in the team file", "add one; else nothing of theirs counts")
    for person in accounts.left:
        yield _warn("team", f"{person.id} left and can still log in", "remove the account from the organisation")
    if not accounts.missing and not accounts.without_email:
        yield _ok("team", f"{len(accounts.there)} people, each with an account")
    if policy is None:
        return
    lacking = shortages(team, policy)
    for lack in lacking:
        yield _fail("team", lack.message, lack.cure)
    for domain in policy.expert_domains:
        working = [person for person in team.people.values() if person.left is None and not _only_manages(person)]
        holders = [person.id for person in working if domain in person.expertise]
        if len(holders) == policy.expert_quorum and not any(domain in lack.rows for lack in lacking):
            yield _warn(
                "team",
                f"{domain} hangs on {', '.join(holders)} alone",
                "a second expert keeps it going in their absence",
            )


def _only_manages(person: Person) -> bool:
    """Whether a person has no role at any stage, so that what they know helps no row."""
    return not any(person.roles & stage.roles for stage in STAGES)


def _campaigns(
    port: HttpLabelStudio,
    projects: Sequence[Project],
    name: str | None,
    policy: Policy | None,
    team: Team | None,
    *,
    is_kept: bool,
    full: bool,
) -> Iterator[Check]:
    campaigns = find_all(projects)
    if name is None and len(campaigns) != 1:
        yield _warn(
            "campaign", f"on this server: {', '.join(sorted(campaigns)) or 'none'}", "name one with --name to check it"
        )
        return
    name = name if name is not None else next(iter(campaigns))
    if name not in campaigns and not unmarked_projects(projects, name, {}):
        yield _fail("campaign", f"{name!r} is not on this server", "run quorum setup")
        return
    stages = campaigns.get(name, {})
    yield from _projects(name, projects, stages)
    if policy is None or team is None:
        yield _warn("campaign", f"{name!r}: only its projects were looked at", "give --policy and --team for the rest")
    elif all(stage in stages for stage in STAGES):
        marked = {stage: stages[stage][0] for stage in STAGES}
        campaign = assemble(name, marked, policy=policy, team=team, port=port)
        yield from _marker(campaign, is_kept=is_kept)
        yield from _settings(port, campaign)
        yield from _webhooks(port, campaign)
        yield from _ml(port, campaign)
        if full:
            yield from _rows(port, campaign)


def _projects(name: str, projects: Sequence[Project], stages: Mapping[Stage, Sequence[Project]]) -> Iterator[Check]:
    """Whether each stage has one project; two set-ups at once may have made more."""
    unmarked = unmarked_projects(projects, name, stages)
    for stage in STAGES:
        marked = stages.get(stage, ())
        if not marked:
            yield _lost(name, stage, unmarked)
        elif len(marked) > 1:
            others = ", ".join(str(project.id) for project in marked[1:])
            yield _warn(
                "campaign", f"projects {others} carry the {stage.value} marker of project {marked[0].id}", "delete them"
            )


def _marker(campaign: Campaign, *, is_kept: bool) -> Iterator[Check]:
    """Whether the line in the Pass project's description, by which any machine knows them, names policy and team."""
    project = campaign.projects[Stage.PASS]
    marker, policy, team = marker_of(project), campaign.policy.hash, team_digest(campaign.team)
    if marker.policy != policy:
        message = f"the campaign runs under {short(marker.policy)}, the policy here is {short(policy)}"
        yield _fail("policy", message, "run quorum setup")
    else:
        yield _ok("policy", f"{short(policy)}, as the campaign was set up")
    if marker.team not in ("", team):
        message = f"the campaign goes by {short(marker.team)}, the team here is {short(team)}"
        # Where the server keeps the team, commands go by that and not by the line.
        yield (_warn if is_kept else _fail)("team", message, "run quorum team apply")
    elif not is_kept and takes_any_team(campaign.projects):
        yield _warn("team", *ANY_TEAM)
    if is_interface_changed(project):
        message, cure = CHANGED_INTERFACE
        yield _warn("interface", message.format(project=project.id), cure)
    try:
        load_checks(campaign.interface)
    except FaultsError as error:
        yield _fail("checks", f"nobody is told of any: {error.faults[0]}", "mend checks.yaml and run quorum setup")


def _lost(name: str, stage: Stage, unmarked: Mapping[Stage, Project]) -> Check:
    """What became of a stage's project."""
    if stage in unmarked:
        message = f"project {unmarked[stage].id} is titled as its {stage.value} project and has no quorum: line"
        return _fail("campaign", message, "run quorum setup --repair, which gives it the line back")
    return _fail(
        "campaign",
        f"the {stage.value} project of {name!r} is gone, or has lost title and quorum: line",
        "put a backup of the server's database back; quorum setup --repair makes a new project, without what is lost",
    )


def _settings(port: HttpLabelStudio, campaign: Campaign) -> Iterator[Check]:
    spec = CampaignSpec(name=campaign.name, interface=campaign.interface, policy=campaign.policy, team=campaign.team)
    clean = True
    for stage, keys in settings_drift(spec, campaign).items():
        # The guidelines live in the interface's folder, which is not at hand here.
        differing = [key for key in keys if key not in ("expert_instruction", "show_instruction")]
        if differing:
            clean = False
            wanted = project_settings(spec, stage)
            settings = campaign.projects[stage].settings
            differences = ", ".join(
                f"{key} is {settings[key]!r}, not {wanted[key]!r}" for key in differing if key != "label_config"
            )
            differences = ", ".join(
                filter(None, [differences, "another label_config" if "label_config" in differing else ""])
            )
            yield _warn(
                "settings",
                f"project {campaign.project(stage)} ({stage.value}): {differences}",
                "run quorum setup again",
            )
    for fault, cure in serving_faults(port, campaign):
        clean = False
        yield _fail("pre-filling", fault, cure)
    if clean:
        yield _ok("settings", "overlap, queues, interfaces and pre-filling are as set up")


def _webhooks(port: HttpLabelStudio, campaign: Campaign) -> Iterator[Check]:
    webhooks = [own_webhook(port, campaign.project(stage)) for stage in STAGES]
    active = [webhook for webhook in webhooks if webhook is not None and webhook.active]
    if len(active) == len(STAGES):
        yield _ok("webhooks", f"announce changes to {active[0].url}")
    elif port.plugin_version() is not None:
        yield _ok("webhooks", "none needed: the plugin reconciles inside the server")
    else:
        yield _warn(
            "webhooks",
            f"{len(active)} of {len(STAGES)} are on",
            "queues fill only when quorum sync runs; keep quorum sync --watch running",
        )


def _ml(port: HttpLabelStudio, campaign: Campaign) -> Iterator[Check]:
    backends = port.ml_backends(campaign.project(Stage.PASS))
    if not backends:
        why = " (the policy withholds pre-annotations)" if campaign.policy.prelabel.withhold > 0 else ""
        yield _ok("ML backend", f"none is connected{why}; quorum import --ml-url asks one")
    for backend in backends:
        try:
            answer = httpx.get(backend.url.rstrip("/") + "/health", timeout=_HEALTH_S, trust_env=False)
        except httpx.HTTPError as error:
            yield _warn(
                "ML backend",
                f"no answer at {backend.url} from here ({type(error).__name__})",
                "start it, or see whether only the server can reach it",
            )
            continue
        if answer.status_code == httpx.codes.OK:
            yield _ok("ML backend", f"{backend.url} is healthy; Label Studio says {backend.state or 'nothing'}")
        else:
            yield _warn("ML backend", f"{backend.url}/health answered {answer.status_code}", "see its log")


def _rows(port: HttpLabelStudio, campaign: Campaign) -> Iterator[Check]:
    with Snapshot.read(port, campaign) as snapshot:
        yield from _rows_of(port, campaign, snapshot)


def check_answers(campaign: Campaign, snapshot: Snapshot) -> Iterator[Check]:
    """Whether there are answers that do not count as their people were told."""
    answers = (
        answer
        for row in decide_rows(campaign, snapshot, snapshot.row_ids)
        for answer in doubtful_answers(row.record.history, row.decision)
    )
    for line in summed_up(answers):
        yield _warn("answers", line, "quorum export --all has each of them with its reason, under void or findings")


def _rows_of(port: HttpLabelStudio, campaign: Campaign, snapshot: Snapshot) -> Iterator[Check]:
    doubled, changed = list[str](), list[str]()
    for row_id in snapshot.row_ids:
        tasks = snapshot.tasks(row_id).get(Stage.PASS, ())
        doubled += [row_id] if len(tasks) > 1 else []
        changed += [row_id for task in tasks if not is_as_imported(task)]
    if doubled:
        yield _warn(
            "rows", f"{len(doubled)} rows stand twice in the Pass project, such as {doubled[0]!r}", "run quorum sync"
        )
    if changed:
        yield _fail(
            "rows",
            f"{len(changed)} rows have another text than was imported, such as {changed[0]!r}",
            "put it back; until then they are no gold",
        )
    yield from check_answers(campaign, snapshot)
    report = reconcile(port, campaign, snapshot=snapshot, dry_run=True)
    for problem in report.problems:
        yield _fail("rows", problem, "")
    if report.changed:
        did = ", ".join(f"{what.replace('_', ' ')} {count}" for what, count in report.changes.items())
        yield _warn("queues", f"out of line: {did}", "run quorum sync")
    blocked = report.states.get("BLOCKED", 0)
    if blocked:
        yield _warn("rows", f"{blocked} rows are blocked", "quorum export --all says why, under findings")
    if not (doubled or changed or report.problems or report.changed):
        yield _ok("rows", f"{report.rows} rows, queues in line with the rules")
