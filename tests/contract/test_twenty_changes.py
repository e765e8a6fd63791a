"""Three hundred rows under twenty changes of people, rules, interface and files in mid-work.

Each change says beforehand what it costs, and costs that; the campaign ends complete, and its export is proven.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from label_studio_quorum.adapters.web_session import Visitor
from ls_config.interface import parse_all
from ls_config.results import to_result
from ls_config.review_screen import compose_review
from tests.support.campaigns import Bench, Json
from tests.support.servers import LabelStudioServer

pytestmark = [pytest.mark.server, pytest.mark.slow]

ROWS = 300
CHANGES = 20
POLICY = {
    "version": 1,
    "passes": 2,
    "qa": {"when": "conflict"},
    "expert_domains": ["financial"],
    "skips": {"per_day": None, "reason": False},
    "fields": {"verdict": {"agree": "exact"}},
}
ROLES = {
    "ana": ["annotator"],
    "ben": ["annotator"],
    "chi": ["annotator"],
    "dot": ["annotator"],
    "eli": ["annotator", "qa"],
    "cleo": ["qa"],
    "dag": ["expert", "qa"],
}
LABELS = ("Correct", "Partly correct", "Incorrect")


def rows(first: int, number: int) -> list[Json]:
    """Rows of which every fifth is financial and every other one has an auto-label."""
    return [
        {
            "id": f"r{n:03}",
            "context": "C.",
            "query": f"Question {n}?",
            "response": f"Response {n}.",
            "domain": "financial" if n % 5 == 0 else "general",
        }
        | ({"auto_label": {"verdict": LABELS[0]}} if n % 2 else {})
        for n in range(first, first + number)
    ]


class OwnBench(Bench):
    """A bench whose interface changes, and whose team has other people.

    Attributes:
        xml: The interface as people see it now.
    """

    xml: str

    @cached_property
    def people(self) -> dict[str, Visitor]:
        """Everybody, signed in by the address that they began with."""
        passwords = json.loads((self.folder / "passwords.json").read_text(encoding="utf-8"))
        emails = {person: f"{person}-{self.tag}@quorum.test" for person in ROLES}
        return {person: Visitor(self.server.url, email, passwords[email]).log_in() for person, email in emails.items()}

    def result(self, values: Mapping[str, Any], data: Json) -> list[Json]:
        """Values by the interface of now."""
        return to_result(values, parse_all(compose_review(self.xml, "qa")), data)


@dataclass
class Campaign:
    """The campaign with the files that the changes edit, and the draws of one seed.

    Attributes:
        bench: The server, the files and the people's sessions.
        draw: What the changes and the work are drawn from.
        policy: The policy file's content.
        people: Id → line of the team file.
        label: What the middle verdict is called by now.
    """

    bench: OwnBench
    draw: random.Random
    policy: Json
    people: dict[str, Json]
    label: str = LABELS[1]
    imported: int = ROWS
    names: int = 0
    made: list[str] = field(default_factory=list)

    def write(self) -> None:
        """Write policy and team as their files."""
        yaml = YAML(typ="safe")
        with self.bench.policy_file.open("w", encoding="utf-8") as file:
            yaml.dump(self.policy, file)
        with self.bench.team_file.open("w", encoding="utf-8") as file:
            yaml.dump({"people": list(self.people.values())}, file)

    @property
    def xml(self) -> Path:
        """The interface's file."""
        return Path(self.bench.task) / "label.xml"

    def who(self, role: str) -> list[str]:
        """The people who have a role now."""
        return [person for person, line in self.people.items() if role in line["roles"] and "left" not in line]

    def answer(self, person: str, data: Json) -> Mapping[str, Any]:
        """A verdict that two people mostly share; QA and experts decide."""
        number = int(data["row_id"][1:])
        labels = (LABELS[0], self.label, LABELS[2])
        agreed = labels[number % 3]
        if "panel" in data:
            return {"verdict": agreed, "decision": "correct"}
        # One answer in eight differs, by the person and the row alone, so that a row told again is answered the same.
        slip = random.Random(f"{person} {number}").random() < 1 / 8
        return {"verdict": labels[(number + 1) % 3] if slip else agreed}

    def work(self, most: int) -> None:
        """Everybody who is there works some rows of each stage."""
        for stage, role in (("pass", "annotator"), ("qa", "qa"), ("expert", "expert")):
            for person in self.who(role):
                self.bench.work(person, stage, self.answer, most)

    def gold(self) -> dict[str, Any]:
        """Row id → verdict of each final row, by the server's own policy and team."""
        return {record["row_id"]: record["final"]["values"]["verdict"]["value"] for record in self.bench.export()}

    def apply(self, *more: str) -> Json:
        """Make the change of the files by set-up; its forecast, which a dry run has told the same."""
        files = ("--policy", str(self.bench.policy_file), "--team", str(self.bench.team_file))
        command = ("setup", "--name", self.bench.name, "--task", self.bench.task, *files, *more)
        dry = self.bench.quorum_json(*command, "--dry-run")["change"]
        made: Json = self.bench.quorum_json(*command, "--yes")["change"]
        assert made["cost"]["final_rows_that_fall"] == dry["cost"]["final_rows_that_fall"]
        return dict(made["cost"])

    # --- Changes ---------------------------------------------------------------------------------------------------

    def leave(self) -> Json:
        """Somebody leaves, as of now or as of a year ago."""
        person = self.draw.choice([p for p in self.who("annotator") if p != "eli"])
        self.people[person]["left"] = self.draw.choice(["2026-01-01T00:00:00Z", "2099-01-01T00:00:00Z"])
        self.made.append(f"{person} leaves {self.people[person]['left']}")
        return self._change_team()

    def come_back(self) -> Json:
        """Who left is there again."""
        gone = [person for person, line in self.people.items() if "left" in line]
        for person in gone[:1]:
            del self.people[person]["left"]
        self.made.append(f"{gone[:1]} back")
        return self._change_team()

    def readdress(self) -> Json:
        """Somebody gets another address."""
        line = self.people[self.draw.choice(sorted(self.people))]
        self.names += 1
        line["email"] = f"new{self.names}-{line['email']}"
        self.made.append(f"{line['id']} has another address")
        return self._change_team()

    def change_expertise(self) -> Json:
        """An annotator becomes an expert of the domain, or is none any more."""
        line = self.people[self.draw.choice(["ana", "ben"])]
        if line.pop("expertise", None) is None:
            line["expertise"] = ["financial"]
        self.made.append(f"{line['id']} is an expert: {'expertise' in line}")
        return self._change_team()

    def change_role(self) -> Json:
        """Somebody who labels and checks only checks, or labels again."""
        roles = self.people["eli"]["roles"]
        self.people["eli"]["roles"] = ["qa"] if "annotator" in roles else ["annotator", "qa"]
        self.made.append(f"eli: {self.people['eli']['roles']}")
        return self._change_team()

    def change_passes(self) -> Json:
        """Two passes become three, or two again."""
        self.policy["passes"] = 5 - self.policy["passes"]
        return self._change_policy()

    def change_qa(self) -> Json:
        """QA looks at other rows."""
        others = [{"when": "all"}, {"when": "conflict"}, {"when": "sample", "share": 0.2}]
        self.policy["qa"] = self.draw.choice([qa for qa in others if qa != self.policy["qa"]])
        return self._change_policy()

    def change_domains(self) -> Json:
        """Financial rows need an expert, or none."""
        self.policy["expert_domains"] = [] if self.policy["expert_domains"] else ["financial"]
        return self._change_policy()

    def rename_label(self) -> Json:
        """The middle verdict is called otherwise, with a map."""
        self.names += 1
        old, new = self.label, f"Half right {self.names}"
        # The name before stands in the server's interface beside the label; the file need not know it.
        self.xml.write_text(self.xml.read_text("utf-8").replace(f'value="{old}"', f'value="{new}"'), encoding="utf-8")
        self.label = new
        self.made.append(f"{old} is called {new}")
        cost = self.apply("--rename", f'verdict:"{old}"="{new}"')
        self._refresh_form()
        return cost

    def add_label(self) -> Json:
        """A verdict more, which nobody has given yet."""
        self.names += 1
        text = self.xml.read_text("utf-8")
        mark = f'<Choice value="{LABELS[0]}"'
        assert mark in text
        more = f'<Choice value="Other {self.names}"/>'
        self.xml.write_text(text.replace(mark, more + mark, 1), encoding="utf-8")
        self.made.append(f"a label Other {self.names}")
        cost = self.apply()
        self._refresh_form()
        return cost

    def import_more(self) -> Json:
        """Rows come in, and go again, while people work on others; the files of the others stay."""
        more = rows(self.imported, 60)
        file = str(self.bench.rows_file(more))
        made = self.bench.quorum_json("import", file, "--no-prelabel", "--name", self.bench.name)
        self.bench.quorum_json("import", "--undo", made["import_id"], "--name", self.bench.name)
        self.made.append("60 rows in and out")
        return {"final_rows_that_fall": {}, "rows_that_become_final": 0}

    def _change_team(self) -> Json:
        self.write()
        command = ("team", "apply", str(self.bench.team_file), "--name", self.bench.name)
        dry = self.bench.quorum_json(*command, "--dry-run")["change"]
        made: Json = self.bench.quorum_json(*command, "--yes")["change"]
        assert made["cost"]["final_rows_that_fall"] == dry["cost"]["final_rows_that_fall"]
        return dict(made["cost"])

    def _change_policy(self) -> Json:
        self.write()
        self.made.append(f"policy {self.policy}")
        return self.apply()

    def _refresh_form(self) -> None:
        self.bench.xml = self.xml.read_text("utf-8")


@pytest.fixture
def campaign(ls_server_plugin: LabelStudioServer, tmp_path: Path) -> Iterator[Campaign]:
    """The campaign with its rows, an interface folder of its own, and everybody signed in."""
    bench = OwnBench(ls_server_plugin, tmp_path, "classification")
    own = tmp_path / "own"
    own.mkdir()
    bench.xml = bench.interface.xml
    (own / "label.xml").write_text(bench.xml, encoding="utf-8")
    bench.task = str(own)
    people = {
        person: {"id": person, "email": f"{person}-{bench.tag}@quorum.test", "roles": list(roles)}
        for person, roles in ROLES.items()
    }
    people["dag"]["expertise"] = ["financial"]
    made = Campaign(bench, random.Random(7), json.loads(json.dumps(POLICY)), people)
    made.write()
    bench.policy = bench.policy_file.read_text("utf-8")
    bench.set_up(rows(0, ROWS))
    # Found by the policy of the beginning; sessions begin before anybody leaves or gets another address.
    assert len(bench.projects) == 3
    assert set(bench.people) == set(ROLES)
    yield made
    bench.close()


def test_each_change_says_what_it_costs_and_the_campaign_ends_complete(campaign: Campaign) -> None:
    """Twenty changes drawn by a seed, each between some work; what falls is what was told, and no more is lost."""
    kinds: list[Callable[[], Json]] = [
        campaign.leave, campaign.come_back, campaign.readdress, campaign.change_expertise, campaign.change_role,
        campaign.change_passes, campaign.change_qa, campaign.change_domains, campaign.rename_label,
        campaign.add_label, campaign.import_more,
    ]  # fmt: skip
    # Each kind at least once, the rest drawn.
    order = [*kinds, *campaign.draw.choices(kinds, k=CHANGES - len(kinds))]
    campaign.draw.shuffle(order)
    fallen = 0
    for change in order:
        campaign.work(8)
        before = campaign.gold()
        told = change()
        after = campaign.gold()
        said = campaign.made[-1]
        assert len(before.keys() - after.keys()) == sum(told["final_rows_that_fall"].values()), said
        assert len(after.keys() - before.keys()) == told["rows_that_become_final"], said
        fallen += len(before.keys() - after.keys())
    assert fallen > 0
    for line in campaign.people.values():
        line.pop("left", None)
    campaign.people["eli"]["roles"] = ["annotator", "qa"]
    campaign._change_team()
    while len(campaign.gold()) < ROWS:
        done = len(campaign.gold())
        campaign.work(ROWS)
        campaign.bench.quorum("sync", "--name", campaign.bench.name)
        assert len(campaign.gold()) > done, campaign.bench.quorum("status", "--name", campaign.bench.name).stdout
    files = ("--policy", str(campaign.bench.policy_file), "--team", str(campaign.bench.team_file))
    assert f"{ROWS} rows, {ROWS} final, 0 findings" in campaign.bench.quorum("verify", "out.jsonl", *files).stdout
    assert campaign.bench.quorum_json("audit", "--name", campaign.bench.name)["proven"]
    assert campaign.bench.quorum_json("doctor", "--full", "--name", campaign.bench.name)["ok"]
