"""A simulated team: people of stated skill who work a running campaign over HTTP, as browsers would.

No shortcut into the database: each logs in with their own password, asks for the next task as the label stream does,
and submits a form. Everything that a person answers follows from the seed, their id and the row, so that a campaign
can be worked again to the same end.
"""

from __future__ import annotations

import json
import random
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from label_studio_quorum.adapters.web_session import Visitor
from label_studio_quorum.campaign.projects import interface_of
from label_studio_quorum.campaign.row_task import SEAL
from ls_config.interface import RESERVED, Control
from ls_config.results import from_result, to_result
from review_rules import Kind, Role, Stage
from review_rules.canonical import same
from review_rules.errors import PublicError
from review_rules.files.checks import FieldChecks, load_checks

DEFAULT_SKILL = {"annotator": 0.93, "qa": 0.98, "expert": 0.995}
_ROLE_AT = {Stage.PASS: Role.ANNOTATOR, Stage.QA: Role.QA, Stage.EXPERT: Role.EXPERT}
# What the label stream of Label Studio's browser sends when it asks for the next task.
_EVERYTHING = {
    "selectedItems": {"all": True, "excluded": []},
    "ordering": [],
    "filters": {"conjunction": "and", "items": []},
}
_UNSURE = 0.04  # share of passes that say so
_NEEDS_EXPERT = 0.02
_ESCALATE = 0.02  # share of QA that asks an expert

_NO_CHECKS = FieldChecks()

Values = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Simulant:
    """One simulated person.

    Args:
        id: The id in the team file.
        email: Their account.
        password: Its password.
        roles: Roles in the team file.
        skill: Probability of answering a field right, in a pass; QA and experts use their role's default when higher.
    """

    id: str
    email: str
    password: str
    roles: frozenset[str]
    skill: float


@dataclass
class CrewTally:
    """What the simulated team did; `withdrawn` counts tasks that were taken back while somebody worked on them."""

    submitted: Counter[str] = field(default_factory=Counter)
    by_person: Counter[str] = field(default_factory=Counter)
    decisions: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)
    withdrawn: int = 0


class WorkError(PublicError):
    """The server refused something that a browser would have been granted."""


def load_truth(file: Path) -> dict[str, Values]:
    """Right answers by row id, from JSON lines of `{"row_id", "values"}`.

    Raises:
        WorkError: A line is something else.
    """
    truth: dict[str, Values] = {}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        try:
            entry = json.loads(line)
            truth[str(entry["row_id"])] = dict(entry["values"])
        except (ValueError, KeyError, TypeError):
            raise WorkError(f"{file}:{number}: not an object with row_id and values") from None
    return truth


class Judge:
    """What a person of some skill answers to a row.

    Args:
        truth: Right answers by row id; a row that is not there has its pre-annotation for the truth.
        seed: Every other seed is another team.
    """

    def __init__(self, truth: Mapping[str, Values], seed: int) -> None:
        self._truth, self._seed = truth, seed

    def answer(
        self,
        person: Simulant,
        stage: Stage,
        task: Mapping[str, Any],
        controls: Sequence[Control],
        checks: FieldChecks = _NO_CHECKS,
    ) -> Values:
        """All values of the form, the reserved controls of its stage among them.

        Who is told by a check that fields do not fit each other looks at these again.
        """
        data = task["data"]
        shown = _shown(task, controls)
        chance = self._chance(person, stage, str(data["row_id"]))
        fields = [control for control in controls if control.name not in RESERVED]
        right = self._truth.get(str(data["row_id"]), shown)
        skill = max(person.skill, DEFAULT_SKILL[_ROLE_AT[stage]]) if stage is not Stage.PASS else person.skill
        values = {control.name: _answer_field(control, right, shown, data, skill, chance) for control in fields}
        values = {name: value for name, value in values.items() if value is not None}
        values = _looked_at_again(values, right, fields, checks)
        return values | (_flags(chance) if stage is Stage.PASS else _decision(stage, values, shown, fields, chance))

    def lead_time(self, person: Simulant, stage: Stage, task: Mapping[str, Any]) -> float:
        """Seconds that a person would have spent: a start, reading at about 20 characters a second, and deciding."""
        data = task["data"]
        read = sum(len(str(data.get(key) or "")) for key in ("context", "query", "response"))
        chance = self._chance(person, f"time of {stage}", str(data["row_id"]))
        return round((12 + read / 20) * chance.lognormvariate(0, 0.35), 1)

    def _chance(self, person: Simulant, stage: str, row_id: str) -> random.Random:
        key = zlib.crc32(f"{self._seed}\0{person.id}\0{stage}\0{row_id}".encode())
        return random.Random(key)  # noqa: S311 - a simulation, not a secret


class Crew:
    """The simulated people at one server.

    Args:
        url: Label Studio's address.
        people: Who works; people without a labelling role are left out.
        projects: Stage → project id.
        judge: Decides the answers.
    """

    def __init__(self, url: str, people: Sequence[Simulant], projects: Mapping[str, int], judge: Judge) -> None:
        self._projects = dict(projects)
        self._judge = judge
        self.people = [person for person in people if person.roles & set(_ROLE_AT.values())]
        self._browsers = {p.id: Visitor(url, p.email, p.password) for p in self.people}
        self._controls: dict[str, tuple[Control, ...]] = {}
        self._checks: dict[str, FieldChecks] = {}
        self.tally = CrewTally()

    def log_in(self) -> None:
        """Log everyone in.

        Raises:
            VisitError: An account or its password is wrong.
        """
        for browser in self._browsers.values():
            browser.log_in()

    def work(self) -> Iterator[tuple[str, str]]:
        """Work until nobody is given anything more; yields (stage, person id) after each submission.

        One person after the other takes one task each, so that everybody gets a share of every stage.

        Raises:
            WorkError: The server refused a submission.
        """
        idle = False
        while not idle:
            idle = True
            for person in self.people:
                for stage in self._stages_of(person):
                    if self._take_one(person, stage):
                        idle = False
                        yield stage, person.id
                        break

    def _stages_of(self, person: Simulant) -> list[Stage]:
        """The stages that a person's roles open, the last first: a queue that is nearer to the end is emptied first."""
        return [stage for stage in reversed(Stage) if self._may_enter(person, stage)]

    def _may_enter(self, person: Simulant, stage: Stage) -> bool:
        if stage not in self._projects:
            return False
        return not stage.roles.isdisjoint(person.roles)

    def _take_one(self, person: Simulant, stage: Stage) -> bool:
        browser, project = self._browsers[person.id], self._projects[stage]
        task = _next_task(browser, project)
        if task is None:
            return False
        controls = self._controls_of(browser, stage)
        values = self._judge.answer(person, stage, task, controls, self._checks[stage])
        form = {
            "result": to_result(values | _unseen(task, controls), controls, task["data"]),
            "lead_time": self._judge.lead_time(person, stage, task),
            "project": project,
        }
        answer = browser.post(f"/api/tasks/{task['id']}/annotations?project={project}", json=form)
        if answer.status_code != 201 and browser.get(f"/api/tasks/{task['id']}").status_code == 404:
            self.tally.withdrawn += 1  # while the form was open; its row comes back to somebody
            return True
        if answer.status_code != 201:
            refusal = f"the server answered {answer.status_code}: {answer.text[:200]}"
            raise WorkError(f"{person.id}: task {task['id']} ({stage}): {refusal}")
        self._count(person, stage, values)
        return True

    def _controls_of(self, browser: Visitor, stage: Stage) -> tuple[Control, ...]:
        if stage not in self._controls:
            answer = browser.get(f"/api/projects/{self._projects[stage]}")
            if answer.status_code != 200:
                raise WorkError(f"{browser.email}: project {self._projects[stage]} answered {answer.status_code}")
            interface = interface_of(answer.json()["label_config"], "")
            self._controls[stage], self._checks[stage] = interface.all_controls, load_checks(interface)
        return self._controls[stage]

    def _count(self, person: Simulant, stage: Stage, values: Values) -> None:
        self.tally.submitted[stage] += 1
        self.tally.by_person[person.id] += 1
        self.tally.flags.update(values.get("flags", []))
        if "decision" in values:
            self.tally.decisions[values["decision"]] += 1


def _next_task(browser: Visitor, project: int) -> dict[str, Any] | None:
    """Ask for a task as the label stream of the browser does; None if there is none for this person."""
    answer = browser.post(f"/api/dm/actions?id=next_task&project={project}", json={**_EVERYTHING, "project": project})
    if answer.status_code in (403, 404):
        return None
    if answer.status_code != 200:
        raise WorkError(f"{browser.email}: project {project}: no next task, the server answered {answer.status_code}")
    task: dict[str, Any] = answer.json()
    return task


def _shown(task: Mapping[str, Any], controls: Sequence[Control]) -> Values:
    """The values that the form opens with."""
    predictions = task.get("predictions") or []
    return from_result(predictions[-1]["result"], controls, task["data"]).values if predictions else {}


def _unseen(task: Mapping[str, Any], controls: Sequence[Control]) -> Values:
    """What a review form opens with and sends back although nobody sees it."""
    predictions = task.get("predictions") or []
    seal = from_result(predictions[-1]["result"], controls, task["data"]).review_of if predictions else None
    return {} if seal is None else {SEAL: seal}


def _answer_field(
    control: Control, right: Values, shown: Values, data: Mapping[str, Any], skill: float, chance: random.Random
) -> Any:
    """The right value with probability `skill`, else what is on the screen if that is wrong, else a slip."""
    value = right.get(control.name)
    attentive = chance.random() < skill
    slip = _slip(control, value, chance)
    if value is None:
        return _any_value(control, chance) if control.required else ([] if control.is_set else None)
    if attentive:
        return value
    anchored = shown.get(control.name)
    return anchored if anchored is not None and anchored != value else slip


def _looked_at_again(values: Values, right: Values, fields: Sequence[Control], checks: FieldChecks) -> Values:
    """The values with those right that a blocking check is about; where nobody knows these, with others that fit."""
    violated = checks.blocking(values)
    if not violated:
        return values
    about = {name for check in violated for name in check.fields}
    values = values | {name: right[name] for name in about if right.get(name) is not None}
    others = (values | {control.name: value} for control in fields if control.name in about for value in _any(control))
    return next((each for each in (values, *others) if not checks.blocking(each)), values)


def _any(control: Control) -> Sequence[Any]:
    """Every value that one choice or rating can have."""
    if control.kind == "choice":
        return control.labels
    return range(int(control.min or 1), int(control.max or 5) + 1) if control.kind == "rating" else ()


def _slip(control: Control, value: Any, chance: random.Random) -> Any:
    """A plausible mistake in one value."""
    if control.kind == "rating" and isinstance(value, int):
        low, high = int(control.min or 1), int(control.max or 5)
        return min(high, max(low, value + chance.choice((-1, 1, 1, -2))))
    if control.kind == "choice":
        return chance.choice([label for label in control.labels if label != value] or [value])
    if control.kind == "choices" and isinstance(value, list):
        return value[:-1] if value else [chance.choice(control.labels)]
    if control.kind == "spans" and isinstance(value, list) and value:
        missed = chance.randrange(len(value))
        return [span for index, span in enumerate(value) if index != missed]
    return value


def _any_value(control: Control, chance: random.Random) -> Any:
    """Something for a required control that neither the truth nor the pre-annotation answers."""
    if control.labels:
        return chance.choice(control.labels) if control.kind == "choice" else [chance.choice(control.labels)]
    if control.kind in ("rating", "number"):
        return int(control.max or 5)
    return "not stated" if control.kind == "text" else None


def _flags(chance: random.Random) -> Values:
    draw = chance.random()
    if draw < _UNSURE:
        return {"flags": ["unsure"], "flag_reason": "The context supports two readings."}
    if draw < _UNSURE + _NEEDS_EXPERT:
        return {"flags": ["needs_expert"], "flag_reason": "I can't check this claim."}
    return {}


def _decision(stage: str, values: Values, shown: Values, fields: Sequence[Control], chance: random.Random) -> Values:
    if stage == "qa" and chance.random() < _ESCALATE:
        return {"decision": "escalate", "decision_reason": "Depends on a convention that an expert should settle."}
    if all(same(Kind.of(control.kind), values.get(control.name), shown.get(control.name)) for control in fields):
        return {"decision": "accept"}
    return {"decision": "correct", "decision_reason": "Corrected against the context."}
