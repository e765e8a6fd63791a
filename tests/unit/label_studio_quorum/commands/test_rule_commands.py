"""`quorum decide`, `quorum policy` and `quorum verify`: what they read, print and end with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from review_rules.verify import row_hash
from tests.support.command_line import run_in_bytes
from tests.unit.review_rules.cases import TEAM, agreeing, row, sub
from tests.unit.review_rules.test_findings import POLICY, other_record, record, sealed

ROOT = Path(__file__).parents[4]
OLD = ROOT / "tests" / "unit" / "review_rules" / "export_0_1_0"


def quorum_apart(*arguments: object, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run the command in a process of its own, where a warning is an error."""
    command = [sys.executable, "-W", "error", "-m", "label_studio_quorum", *map(str, arguments)]
    environment = os.environ | {"NO_COLOR": "1", "COLUMNS": "200"}
    return subprocess.run(command, input=stdin, capture_output=True, cwd=ROOT, env=environment, check=False)


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str, str, str]:
    """The options that name a sound policy and team."""
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "team.yaml").write_text(TEAM)
    return "--policy", str(tmp_path / "policy.yaml"), "--team", str(tmp_path / "team.yaml")


def lines(*values: Any) -> bytes:
    """JSON lines."""
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def test_one_decision_a_line(files: tuple[str, ...]) -> None:
    """Findings, blank lines and a byte order mark leave exit 0 and nothing on stderr."""
    histories = lines(row(agreeing()), row([sub("nobody", 0)], row_id="r2"))
    done = quorum_apart("decide", *files, stdin=b"\xef\xbb\xbf" + histories.replace(b"\n", b"\n\r\n \n"))
    assert (done.returncode, done.stderr) == (0, b"")
    decisions = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["row_id"] for one in decisions] == ["r1", "r2"]
    assert list(decisions[0]) == [
        "row_id",
        "state",
        "next",
        "comparison",
        "proposal",
        "findings",
        "final",
        "certificate",
        "rules",
    ]


def test_a_file_and_json_flag(files: tuple[str, ...], tmp_path: Path) -> None:
    """A file's histories are decided like those of standard input, with `--json` or without."""
    (tmp_path / "h.jsonl").write_bytes(lines(row(agreeing())))
    plain, flagged = (run_in_bytes("decide", *files, tmp_path / "h.jsonl", *more) for more in ((), ("--json",)))
    assert plain.returncode == flagged.returncode == 0
    assert plain.stdout == flagged.stdout == run_in_bytes("decide", *files, "-", stdin=lines(row(agreeing()))).stdout


def test_bad_lines_are_named_and_the_rest_decided(files: tuple[str, ...], tmp_path: Path) -> None:
    """Each bad line is one line on stderr with its number, and the exit is 1."""
    bad = [b"not json", b"[]", b'{"row_id": "x"}', b'{"row_id": 5, "fields": {}}', b'{"row_id": "\xff", "fields": {}}']
    bad += [b"[" * 5000, b'{"row_id": "x", "fields": {}, "n": ' + b"9" * 5000 + b"}", b'{"row_id": "x", "fields": {}']
    (tmp_path / "h.jsonl").write_bytes(b"\n".join([*bad, lines(row(agreeing())).strip()]))
    done = run_in_bytes("decide", *files, tmp_path / "h.jsonl")
    assert done.returncode == 1
    assert [json.loads(line)["row_id"] for line in done.stdout.splitlines()] == ["r1"]
    told = done.stderr.decode().splitlines()
    assert [line.split(".jsonl:")[1].split(":")[0] for line in told] == [
        str(number) for number in range(1, len(bad) + 1)
    ]


def test_odd_values_come_out_as_json(files: tuple[str, ...]) -> None:
    """NaN, a lone surrogate and a huge number are findings where they stand, and the output is strict JSON."""
    odd = row(
        [sub("ana", 0, verdict="\ud800"), sub("hal", 1, verdict=float("nan"))], domain=float("inf"), row_id="\udfff"
    )
    huge = row([sub("ana", 0, n=10**30)], fields={"n": {"kind": "number"}}, auto_label={"n": 10**30})
    done = run_in_bytes("decide", *files, stdin=lines(odd, huge))
    assert (done.returncode, done.stderr) == (0, b"")

    def refuse(word: str) -> None:
        raise AssertionError(word)

    decisions = [json.loads(line, parse_constant=refuse) for line in done.stdout.splitlines()]
    assert decisions[0]["row_id"] == "\udfff"
    assert {one["path"] for one in decisions[0]["findings"]} >= {"domain", "passes[1]"}


def test_faults_of_both_files(tmp_path: Path) -> None:
    """Every fault of policy and team is one line with file, line and column; nothing is decided."""
    (tmp_path / "p.yaml").write_text("pases: 2\nqa: {when: al}\n")
    (tmp_path / "t.yaml").write_text("people:\n- {id: a, roles: [anotator]}\n")
    done = run_in_bytes("decide", "--policy", tmp_path / "p.yaml", "--team", tmp_path / "t.yaml", stdin=lines(row()))
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode().splitlines() == [
        f"{tmp_path}/p.yaml:1:1: pases: unknown key `pases`. Did you mean `passes`?",
        f"{tmp_path}/p.yaml:2:12: qa.when: unknown time for QA `al`. Did you mean `all`?",
        f"{tmp_path}/t.yaml:2:19: people[0].roles[0]: unknown role `anotator`. Did you mean `annotator`?",
    ]


def test_unknown_domain_of_the_team_is_a_warning(files: tuple[str, ...], tmp_path: Path) -> None:
    """A team may serve several campaigns: it is said, and the rows are decided."""
    (tmp_path / "team.yaml").write_text("people:\n- {id: a, roles: [expert], expertise: [legal]}\n")
    done = run_in_bytes("decide", *files, stdin=lines(row()))
    assert done.returncode == 0
    assert b":2:40: warning: people[0].expertise[0]: the policy does not know the domain `legal`" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["--policy", "p"], ["--nonsense"]])
def test_wrong_usage_of_decide(arguments: list[str]) -> None:
    """A call that cannot be meant is exit 2."""
    assert run_in_bytes("decide", *arguments).returncode == 2


def test_unreadable_files(files: tuple[str, ...], tmp_path: Path) -> None:
    """A file that is not there, or no text, is wrong usage."""
    assert run_in_bytes("decide", *files, tmp_path / "nothing.jsonl").returncode == 2
    (tmp_path / "policy.yaml").write_bytes(b"\xff\xfe\x00")
    done = run_in_bytes("decide", *files)
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
    assert b"policy.yaml: cannot be read: it is not UTF-8 text" in done.stderr


def test_reader_who_has_had_enough(files: tuple[str, ...], tmp_path: Path) -> None:
    """`quorum decide … | head -1` ends without a word."""
    (tmp_path / "h.jsonl").write_bytes(lines(row(agreeing())) * 5000)
    command = [sys.executable, "-m", "label_studio_quorum", "decide", *files, str(tmp_path / "h.jsonl")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    told = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), told) == (1, b"")


def test_decide_starts_light() -> None:
    """Deciding needs neither the SDK nor torch nor pandas nor numpy, nor CEL as long as no expression asks for it."""
    code = "import sys, label_studio_quorum.commands.decide; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not loaded & {
        "label_studio_sdk",
        "torch",
        "pandas",
        "numpy",
        "cel",
        "pydantic",
        "django",
        "ls_config",
    }


def test_policy_check(files: tuple[str, ...], tmp_path: Path) -> None:
    """A sound policy shows its hash; with --json its normalised content."""
    done = run_in_bytes("policy", "check", files[1], "--team", files[3])
    assert done.returncode == 0
    assert b"policy.yaml: in order, sha256:" in done.stdout
    shown = json.loads(run_in_bytes("policy", "check", files[1], "--json").stdout)
    assert (shown["ok"], shown["policy"]["passes"], shown["faults"], shown["warnings"]) == (True, 2, [], [])


def test_policy_check_with_faults(tmp_path: Path) -> None:
    """All faults of both files at once, as lines or as JSON."""
    (tmp_path / "p.yaml").write_text("pases: 2\n")
    (tmp_path / "t.yaml").write_text("people: [{id: a, roles: [bos]}]")
    done = run_in_bytes("policy", "check", tmp_path / "p.yaml", "--team", tmp_path / "t.yaml")
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 2)
    done = run_in_bytes("policy", "check", tmp_path / "p.yaml", "--team", tmp_path / "t.yaml", "--json")
    shown = json.loads(done.stdout)
    assert (done.returncode, shown["ok"], shown["hash"], len(shown["faults"])) == (1, False, None, 2)
    assert shown["faults"][0] == {
        "file": f"{tmp_path}/p.yaml", "line": 1, "column": 1, "path": "pases",
        "message": "unknown key `pases`", "hint": "Did you mean `passes`?",
    }  # fmt: skip


@pytest.mark.parametrize(("which", "title"), [("policy", "Quorum policy"), ("team", "Quorum team")])
def test_policy_schema(which: str, title: str) -> None:
    """The schemas are printed as JSON."""
    assert json.loads(run_in_bytes("policy", "schema", which).stdout)["title"] == title


def test_verify_proves_and_refuses(files: tuple[str, ...], tmp_path: Path) -> None:
    """A true export is proved, and what it cannot prove is said; a changed one is refused, each finding with line, row
    and place."""
    export = tmp_path / "gold.jsonl"
    whole = sealed(record(), other_record())
    export.write_bytes(lines(*whole))
    seal = whole[0]["export"]["seal"]
    done = quorum_apart("verify", export, *files)
    assert (done.returncode, done.stderr) == (0, b"")
    told = done.stdout.decode().splitlines()
    assert told[0] == f"{export}: 2 rows, 2 final, 0 findings"
    assert [line.partition(":")[0] for line in told[1:]] == ["not proved", "seal"]
    assert told[-1] == f"seal: {seal}"
    done = run_in_bytes("verify", export, *files, "--seal", seal)
    assert (done.returncode, done.stdout.decode().splitlines()) == (0, [told[0], told[-1]])
    assert run_in_bytes("verify", export, *files, "--seal", seal.removeprefix("sha256:")).returncode == 0
    assert run_in_bytes("verify", export, *files, "--seal", "sha256:0").returncode == 1
    whole[1]["final"]["values"]["verdict"]["value"] = "B"
    export.write_bytes(lines(*whole) + b"{\n")
    done = run_in_bytes("verify", export, *files)
    assert done.returncode == 1
    assert (
        done.stderr.decode()
        .splitlines()[0]
        .startswith(f"{export}:2: row r2: final.values.verdict: QR.E110 the final value of verdict is not the one")
    )
    shown = json.loads(run_in_bytes("verify", export, *files, "--json").stdout)
    assert (shown["ok"], shown["rows"], shown["final"], shown["seal"], shown["sealed"]) == (False, 2, 2, None, True)
    assert [(found["line"], found["row_id"], found["id"]) for found in shown["findings"]] == [
        (2, "r2", "QR.E110"),
        (2, "r2", "QR.E116"),
        (3, None, "QR.E101"),
    ]


def test_verify_sums_up_by_cause(files: tuple[str, ...], tmp_path: Path) -> None:
    """Of many findings of one cause the first few are listed and all are counted; `--all` and `--json` list each."""
    export = tmp_path / "gold.jsonl"
    changed = [whole | {"import_id": "another"} for whole in sealed(*(numbered_record(number) for number in range(9)))]
    changed[4]["gold"] = False
    export.write_bytes(lines(*changed))
    done = run_in_bytes("verify", export, *files)
    cause = f"{export}:{{}}: row r{{}}: import_id: QR.E116 the record's import_id is not what was exported."
    first = [cause.format(line, line - 1) for line in (1, 2, 3)]
    told = [line for line in done.stderr.decode().splitlines() if "import_id" in line]
    assert [line.partition(" Do not")[0] for line in told] == first
    summary = done.stdout.decode().splitlines()
    assert summary[0] == f"{export}: 9 rows, 9 final, 11 findings of 3 causes"
    assert (
        summary[1]
        == "  9 × QR.E116 Part changed after the export (import_id); the first 3 are listed, --all lists each"
    )
    assert set(summary[2:4]) == {
        "  1 × QR.E123 Copy that differs (gold)",
        "  1 × QR.E116 Part changed after the export (gold)",
    }
    assert run_in_bytes("verify", export, *files, "--all").stderr.count(b"\n") == 11
    shown = json.loads(run_in_bytes("verify", export, *files, "--json").stdout)
    assert len(shown["findings"]) == 11
    assert shown["causes"][0] == {
        "id": "QR.E116", "path": "import_id", "title": "Part changed after the export", "count": 9
    }  # fmt: skip


def numbered_record(number: int) -> dict[str, Any]:
    """The row of `record` under the id of this number."""
    row = record()["row"] | {"id": f"r{number}"}
    return record() | {"row_id": f"r{number}", "row": row, "row_hash": row_hash(row)}


def test_verify_of_an_old_export(tmp_path: Path) -> None:
    """What 0.1.0 wrote is proved by its own rules, and what these leave open is said; `--sealed` refuses it."""
    for name in ("export.jsonl", "export.csv"):
        call = ("verify", OLD / name, "--policy", OLD / "policy.yaml", "--team", OLD / "team.yaml")
        done = run_in_bytes(*call)
        assert (done.returncode, done.stderr) == (0, b"")
        told = done.stdout.decode().splitlines()
        assert told[0].endswith(": 8 rows, 5 final, 0 findings")
        unproved = [
            "8 of 8 records carry no digest",
            "records without a version of the rules",
            "that nobody made history",
        ]
        assert [line.startswith(f"not proved: {what}") for line, what in zip(told[1:], unproved, strict=True)] == [
            True
        ] * 3
        assert not any(line.startswith("seal") for line in told)
        refused = run_in_bytes(*call, "--sealed")
        assert (refused.returncode, refused.stdout.decode().splitlines()[1]) == (
            1, "  8 × QR.E117 Record without a digest (digest); the first 3 are listed, --all lists each"
        )  # fmt: skip


def test_verify_of_an_empty_file(files: tuple[str, ...], tmp_path: Path) -> None:
    """A file without a record proves nothing."""
    (tmp_path / "gold.jsonl").write_bytes(b"\n")
    done = run_in_bytes("verify", tmp_path / "gold.jsonl", *files)
    assert (done.returncode, done.stdout.decode().splitlines()[0]) == (
        1, f"{tmp_path / 'gold.jsonl'}: 0 rows, 0 final, 1 finding"
    )  # fmt: skip
    assert b"QR.E118 the file holds no record of a row" in done.stderr
    assert run_in_bytes("verify", tmp_path / "gold.jsonl", *files, "--part", "--seal", "sha256:0").returncode == 2
