"""What messages, docstrings and pages promise is there: each command and option that is named, each variable."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from label_studio_quorum.commands.cli import COMMANDS, main
from label_studio_quorum.commands.examples import EXAMPLES

ROOT = Path(__file__).parents[4]
ROOMS = ("label_studio_quorum", "review_rules", "ls_config", "ls_plugin", "ml_backend", "scripts")
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").glob("*.md")]
TEMPLATES = [file for room in ROOMS for end in ("html", "j2") for file in (ROOT / room).rglob(f"*.{end}")]
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z](?![\w-]*=?>)")
NAMED = re.compile(r"\bquorum ((?:[a-z]+)(?: [a-z]+)?)")
READERS = ("up", "check", "import", "prelabel")
"""The commands that read a file of rows and print its faults."""
OTHERS = {
    "--no-deps": "pip", "--script": "label-studio-ml", "--host": "label-studio-ml", "--username": "label-studio",
    "--worker-class": "gunicorn", "--workers": "gunicorn", "--threads": "gunicorn", "--bind": "gunicorn",
    "--timeout": "gunicorn", "--graceful-timeout": "gunicorn", "--keep-alive": "gunicorn",
    "--no-control-socket": "gunicorn", "--log-level": "gunicorn", "--pythonpath": "gunicorn",
    "--enable-legacy-api-token": "label-studio", "--rm": "docker",
    "--qp-color": "a style sheet", "--color-neutral-border": "a style sheet",
}  # fmt: skip
"""Options of other programs, and whose they are."""
SHEETS = {"records", "people", "agreement"}
"""Words behind `quorum` that name a sheet of the workbook and no command."""


def options(command: Any) -> set[str]:
    """The long options of a command."""
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)} | {
        "--help"
    }


def every_command() -> dict[str, set[str]]:
    """Each command by its words, with its options; a group has those of its commands."""
    context = typer.Context(main)
    table: dict[str, set[str]] = {}
    for name in COMMANDS:
        command: Any = main.get_command(context, name)  # type: ignore[attr-defined]
        inner = getattr(command, "commands", {})
        table |= {f"{name} {part}": options(each) for part, each in inner.items()}
        table[name] = options(command).union(*(table[f"{name} {part}"] for part in inner))
    return table


TABLE = every_command()


def arguments_of(*folders: str) -> set[str]:
    """Options that our programs without typer take: the strings of their code that are an option and nothing else."""
    texts = (file.read_text("utf-8") for folder in folders for file in (ROOT / folder).rglob("*.py"))
    return {option for text in texts for option in re.findall(r'"(--[\w-]+)"', text)} | {"--help"}


def strings() -> Iterator[tuple[str, str]]:
    """Where and what: every string of the code, docstrings and the parts of f-strings as one text."""
    for room in ROOMS:
        for file in sorted((ROOT / room).rglob("*.py")):
            path, inside = str(file.relative_to(ROOT)), set[int]()
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    inside |= {id(part) for part in node.values}
                    parts = (str(p.value) if isinstance(p, ast.Constant) else "{}" for p in node.values)
                    yield f"{path}:{node.lineno}", "".join(parts)
                elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
                    yield f"{path}:{node.lineno}", node.value


def pages() -> Iterator[tuple[str, str]]:
    """Where and what: every paragraph, table row and line of code of a page or template."""
    for file in (*PAGES, *TEMPLATES):
        # A command that goes on in the next line is one command.
        text = file.read_text("utf-8").replace("\\\n", " ")
        for number, line in enumerate(text.splitlines(), 1):
            yield f"{file.relative_to(ROOT)}:{number}", line


def meant(place: str, text: str, at: int) -> set[str] | None:
    """The options that may stand at this place of a text; None where no program of ours is meant."""
    # The nearest program named before it, in the same sentence or line of code.
    before = re.split(r"[.;:|] |\n\n|`[^`]*`[,;)]? (?=and|or|brings)", text[:at])[-1]
    programs = [(m.start(), m[0], m) for m in re.finditer(r"\bquorum [a-z]+(?: [a-z]+)?|python -m [\w.]+", before)]
    if programs:
        _, said, _ = programs[-1]
        if said.startswith("python -m"):
            module = said.split()[-1]
            return arguments_of(module.partition(".")[0])
        words = said.split()[1:]
        return TABLE.get(" ".join(words)) or TABLE.get(words[0])
    return None


def home(place: str, text: str) -> set[str]:
    """The options that a text of this file may name without saying whose they are."""
    file = place.partition(":")[0]
    anybody = options(main).union(*TABLE.values(), arguments_of("ml_backend", "benchmarks", "scripts"))
    # An argument in a list is not said to anybody, and who is started with it stands elsewhere.
    if re.fullmatch(r"--[\w-]+", text):
        return anybody
    if file.startswith("label_studio_quorum/intake/"):
        # Faults of rows are told by each of these, so that each must have what they name.
        return set.intersection(*(TABLE[name] for name in READERS))
    own = file.removeprefix("label_studio_quorum/commands/").removesuffix(".py").rstrip("_")
    if own in TABLE:
        return TABLE[own]
    return anybody


@cache
def texts() -> list[tuple[str, str]]:
    """Where and what: every string of the code and every line of a page; read when the first test asks for them."""
    return [*strings(), *pages()]


def test_every_option_that_is_named_exists() -> None:
    """The command named before it has it; where none is named, the command that says it, or else any."""
    wrong = []
    for place, text in texts():
        for match in OPTION.finditer(text):
            allowed = meant(place, text, match.start())
            known = home(place, text) if allowed is None else allowed
            if match[0] not in known and match[0] not in OTHERS:
                wrong.append(f"{place}: {match[0]} in {text.strip()[:90]!r}")
    assert wrong == []


def test_an_option_that_does_not_exist_is_found() -> None:
    """The search sees an option in a message, beside a command and alone."""
    place = "label_studio_quorum/intake/sentences.py:1"
    assert "--no-such" not in home(place, "raise --no-such")
    assert meant(place, "run quorum import --no-such", 18) == TABLE["import"]
    assert "--no-such" not in TABLE["import"]
    assert meant(place, "Cut it, or raise --max-chars.", 18) is None
    assert {"--map", "--max-chars", "--delimiter", "--encoding", "--format", "--offsets"} <= home(place, "")


def test_every_command_that_is_named_exists() -> None:
    """In code spans, lines of code and messages that begin with what to run."""
    ways = re.compile(r"(?:`|\brun |^    )quorum ([a-z]+)(?: ([a-z]+))?")
    wrong = []
    for place, text in texts():
        for match in ways.finditer(text):
            inner = {name.split()[1] for name in TABLE if name.startswith(f"{match[1]} ")}
            if match[0].startswith("`") and match[1] in SHEETS:
                continue
            if match[1] not in COMMANDS or (inner and match[2] and match[2] not in inner):
                wrong.append(f"{place}: {match[0].strip()}")
    assert wrong == []


# --- Help ----------------------------------------------------------------------------------------------------------


def leaves() -> list[str]:
    """Every command that does something itself."""
    return [name for name in TABLE if not any(other.startswith(f"{name} ") for other in TABLE)]


def quorum(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("QUORUM_", "LABEL_STUDIO_"))}
    environment = kept | {"NO_COLOR": "1", "COLUMNS": "160", "PYTHONPATH": str(ROOT)} | variables
    command = [sys.executable, "-m", "label_studio_quorum", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_every_command_has_examples_that_it_understands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One or two, each read by the command's own parser."""
    assert set(EXAMPLES) == set(leaves())
    monkeypatch.chdir(tmp_path)
    for name, examples in EXAMPLES.items():
        assert 1 <= len(examples) <= 2
        for example in examples:
            words = shlex.split(example.partition(" > ")[0])
            for word in words:
                if re.fullmatch(r"[\w-]+\.(jsonl|csv|yaml|md)", word):
                    (tmp_path / word).touch()
            assert words[: 1 + len(name.split())] == ["quorum", *name.split()]
            command: Any = main
            for part in name.split():
                command = command.get_command(typer.Context(command), part)
            command.make_context(name, words[1 + len(name.split()) :], parent=typer.Context(main))


def variables_of_the_code() -> set[str]:
    """Every variable of ours that a string of the code or the compose file names."""
    return {name for place, text in texts() if ".py:" in place for name in re.findall(r"\bQUORUM_[A-Z_]*[A-Z]\b", text)}


def table_of_variables() -> dict[str, str]:
    """Variable → who reads it, by the table of docs/ops.md."""
    page = (ROOT / "docs" / "ops.md").read_text("utf-8")
    rows = re.findall(r"^\| (`QUORUM_[^|]*) \| ([^|]*) \|", page, re.MULTILINE)
    return {name: readers for names, readers in rows for name in re.findall(r"`(QUORUM_\w+)`", names)}


def test_every_variable_is_in_the_table_once() -> None:
    """The table of docs/ops.md has what the code reads, and nothing else."""
    assert set(table_of_variables()) == variables_of_the_code()


def helps() -> dict[str, str]:
    """The help of each command, as one line."""
    from typer.testing import CliRunner

    from label_studio_quorum.commands.cli import app

    runner = CliRunner(env={"COLUMNS": "160", "NO_COLOR": "1", "TERMINAL_WIDTH": "160"})
    return {
        name: " ".join(runner.invoke(app, [*name.split(), "--help"]).output.replace("│", " ").split())
        for name in leaves()
    }


def test_help_names_the_variables_and_examples() -> None:
    """Each command's help names every variable that the table says it reads, and its examples."""
    said = helps()
    for name, examples in EXAMPLES.items():
        assert all(example in said[name] for example in examples), name
    for variable, readers in table_of_variables().items():
        for command in re.findall(r"`quorum ([a-z ]+)`", readers):
            for name in [leaf for leaf in said if leaf == command or leaf.startswith(f"{command} ")]:
                assert variable in said[name], f"{name} reads {variable}"
        if "every command that asks a server" in readers:
            for name in ("setup", "import", "team apply", "sync", "status", "report", "export", "audit", "doctor"):
                assert variable in said[name], f"{name} reads {variable}"


# --- Mistyped ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("stauts",), "no such command 'stauts'; did you mean 'status'?"),
        (("improt", "rows.jsonl"), "did you mean 'import'?"),
        (("models", "chekc"), "Did you mean 'check'?"),
        (("status", "--nmae", "x"), "--name"),
        (("frobnicate",), "there are up, demo, setup"),
    ],
)
def test_a_mistyped_word_is_answered_with_the_right_one(typed: tuple[str, ...], said: str) -> None:
    """Wrong usage, and what was meant."""
    done = quorum(*typed)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


def completed(words: str) -> list[str]:
    """What a shell is offered behind these words, and the heavy modules that were imported for it."""
    program = (
        "import sys; sys.argv = ['quorum']\n"
        "from label_studio_quorum.commands.cli import main\n"
        "try: main(prog_name='quorum')\n"
        "finally: print('loaded', *[m for m in ('requests', 'httpx', 'rich.table', 'numpy') if m in sys.modules])\n"
    )
    number = len(words.split()) - (not words.endswith(" "))
    environment = os.environ | {
        "COMP_WORDS": words, "COMP_CWORD": str(number), "_QUORUM_COMPLETE": "complete_bash", "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False)
    return done.stdout.split()


def test_a_shell_completes_commands_and_options() -> None:
    """Names of commands come from the table, and nothing heavy is loaded for them."""
    assert completed("quorum st") == ["status", "loaded"]
    assert completed("quorum status --na") == ["--name", "loaded"]
    assert completed("quorum models ro") == ["rollback", "loaded"]
    assert set(completed("quorum ")) == {*COMMANDS, "loaded"}
