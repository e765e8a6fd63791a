"""What is installed only with an extra: the sentence that says so, and the declarations that it rests on."""

from __future__ import annotations

import ast
import importlib
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from label_studio_quorum.commands import cli
from label_studio_quorum.commands.telling import told
from ls_config import InterfaceError
from review_rules import Fault, FaultsError
from review_rules.errors import MissingExtra, PublicError
from review_rules.extras import extra_of, missing_extra

ROOT = Path(__file__).parents[3]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
REQUIREMENTS = [
    *PROJECT["dependencies"],
    *(f'{one}; extra == "{extra}"' for extra, every in PROJECT["optional-dependencies"].items() for one in every),
]
NOT_FOR_PEOPLE = {"ResultError"}
"""Errors that the rooms raise and catch among themselves."""


@pytest.mark.parametrize(
    ("module", "extra"),
    [
        ("pyarrow.parquet", "formats"),
        ("altair", "report"),
        ("vl_convert", "report"),
        ("crowdkit.aggregation", "stats"),
        ("presidio_analyzer", "pii"),
        ("spacy", "spacy"),
        ("psycopg2", "postgres"),
        ("flask", "ml"),
        ("onnxruntime", "ml"),
        ("jinja2", None),
        ("py3langid", None),
        ("httpx", None),
        ("label_studio_quorum.missing", None),
    ],
)
def test_each_module_belongs_to_the_extra_that_the_project_declares(module: str, extra: str | None) -> None:
    """The name of an import leads to the extra of its distribution; core packages and our own lead to none."""
    assert extra_of(module, REQUIREMENTS) == extra


def test_every_extra_but_the_developers_can_be_named() -> None:
    """No extra is declared of which no package could ever be missing by name; `all` only collects others."""
    named = {extra_of(re.split(r"[^\w.-]", one)[0], REQUIREMENTS) for one in REQUIREMENTS}
    assert set(PROJECT["optional-dependencies"]) - named <= {"all", "dev"}


def test_all_holds_what_runs_a_campaign() -> None:
    """The extra `all` holds every extra but those for a cluster, for one vendor's models and for developers."""
    [everything] = PROJECT["optional-dependencies"]["all"]
    collected = set(everything.split("[")[1].rstrip("]").split(","))
    assert {"server", "ml", "stats", "formats", "report", "pii", "spacy", "postgres"} <= collected
    assert collected <= set(PROJECT["optional-dependencies"])


def test_the_image_of_ops_has_second_opinions_and_personal_data() -> None:
    """The commands of the compose image need no further extra for what the docs show on data."""
    text = (ROOT / "docker" / "label-studio.Dockerfile").read_text("utf-8")
    for extra in ("server", "postgres", "formats", "report", "stats", "pii"):
        assert f"'{extra}'" in text


# --- how it is told


def telling(error: BaseException, speaker: str | None = None) -> Any:
    """What a command that raises this error prints and how it ends."""
    app = typer.Typer()

    @app.command()
    def command() -> None:
        with told(speaker, lambda: "quorum check"):
            raise error

    return CliRunner().invoke(app)


def test_a_missing_extra_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence names the command, the package and what to type; the exit code is 1."""
    monkeypatch.setattr("importlib.metadata.requires", lambda _: REQUIREMENTS)
    done = telling(ModuleNotFoundError("No module named 'pyarrow'", name="pyarrow"))
    wanted = "quorum: quorum check needs pyarrow; install it with: pip install 'label-studio-quorum[formats]'\n"
    assert (done.exit_code, done.stderr, done.stdout) == (1, wanted, "")


def test_a_module_of_no_extra_is_our_mistake() -> None:
    """A module that no extra would bring is not explained away."""
    error = ModuleNotFoundError("No module named 'label_studio_quorum.gone'", name="label_studio_quorum.gone")
    assert missing_extra(error, "quorum check") is None
    assert telling(error).exception is error


def test_every_other_error_passes_through() -> None:
    """Only public errors become lines; a mistake of ours keeps its traceback."""
    error = KeyError("mistake")
    assert telling(error).exception is error


def test_faults_that_begin_with_their_place_stand_as_they_are() -> None:
    """The lines of a file's faults are what an editor can jump to; every other line begins with the command."""
    fault = Fault("policy.yaml", 3, 6, "qa.when", "unknown value `al`", "Did you mean `all`?")
    assert telling(FaultsError((fault,))).stderr == f"{fault}\n"
    assert telling(InterfaceError(["label.xml: no control"])).stderr == "label.xml: no control\n"
    assert telling(MissingExtra("a", "b", "c")).stderr.startswith("quorum: a needs b; ")
    assert telling(FaultsError((fault,)), "quorum up").stderr == f"quorum up: {fault}\n"


def test_the_group_tells_the_errors_of_every_command(tmp_path: Path) -> None:
    """A command raises, the group prints: one line a fault and exit 1, whatever the command."""
    (tmp_path / "policy.yaml").write_text("version: 1\nqa: {when: al}\n")
    (tmp_path / "team.yaml").write_text("people: []\n")
    files = ["--policy", str(tmp_path / "policy.yaml"), "--team", str(tmp_path / "team.yaml")]
    server = ["--url", "http://127.0.0.1:9", "--api-key", "key"]
    for command in (["decide"], ["setup", "--name", "a", *server]):
        done = CliRunner().invoke(typer_group(), [*command, *files])
        assert (done.exit_code, done.stdout) == (1, "")
        assert done.stderr.startswith(f"{tmp_path}/policy.yaml:2:")


def typer_group() -> typer.Typer:
    """The command as the test runner takes it."""
    return cli.app


def errors_of(folder: Path) -> list[type[BaseException]]:
    """Every class of a room that is an error and has a public name."""
    made = []
    for file in sorted(folder.rglob("*.py")):
        names = [
            node.name
            for node in ast.parse(file.read_text("utf-8")).body
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
        ]
        if not any(name.endswith(("Error", "Refused", "BadLine", "Extra")) for name in names):
            continue
        module = importlib.import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))
        made += [one for name in names if issubclass(one := getattr(module, name), BaseException)]
    return made


def test_every_error_that_people_see_has_the_base_class() -> None:
    """An error class without it would end a command in a traceback; `ls_config` alone cannot have it."""
    found = [one for room in ("review_rules", "label_studio_quorum", "ls_config") for one in errors_of(ROOT / room)]
    assert {"FaultsError", "CampaignError", "ServerError", "MissingExtra", "BadLine"} <= {one.__name__ for one in found}
    without = {one.__name__ for one in found if not issubclass(one, PublicError)}
    assert without - NOT_FOR_PEOPLE == {"InterfaceError"}
