"""`quorum up`: Label Studio, the ML backend and a campaign on this machine, until Ctrl-C."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn

import requests
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from label_studio_quorum.adapters.label_studio import HttpLabelStudio
from label_studio_quorum.commands.change_costs import Asking, RenameOption, YesOption, read_renames
from label_studio_quorum.commands.reading_options import (
    DelimiterOption,
    EncodingOption,
    FormatOption,
    MapOption,
    MaxCharsOption,
    OffsetsOption,
    QuotesOption,
    SheetOption,
    read_mapping,
    read_options,
)
from label_studio_quorum.commands.shared_options import RepairOption
from label_studio_quorum.commands.telling import told
from label_studio_quorum.files import write_json
from label_studio_quorum.servers import left_over
from label_studio_quorum.servers.board import Board
from label_studio_quorum.servers.bring_up import Files, Ready, access, example, fill, read_plan
from label_studio_quorum.servers.data_folder import DataFolder
from label_studio_quorum.servers.processes import LOOPBACK, Child, own_environment
from label_studio_quorum.servers.stack import Stack, StackSettings, preflight, running
from review_rules.staffing import shortages

app = typer.Typer(add_completion=False)

EXAMPLE = "Example"
SPEAKER = "quorum up"
PATIENCE = 20.0
"""Seconds for which a run that was cut off may keep its ports: its guards give the parts ten to end."""
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@app.command()
def command(
    rows: Annotated[Path | None, typer.Option(help="Rows of a campaign of your own (default: the example).")] = None,
    team: Annotated[Path | None, typer.Option(help="Its team file.")] = None,
    policy: Annotated[Path | None, typer.Option(help="Its policy file.")] = None,
    task: Annotated[str, typer.Option(help="Label type, or a folder with a label.xml.")] = "response_review",
    name: Annotated[str | None, typer.Option(help="Its name (default: the rows file's name).")] = None,
    mapping: MapOption = None,
    form: FormatOption = None,
    encoding: EncodingOption = None,
    delimiter: DelimiterOption = None,
    quotes: QuotesOption = None,
    sheet: SheetOption = None,
    offsets: OffsetsOption = "code-points",
    max_chars: MaxCharsOption = None,
    rename: RenameOption = None,
    yes: YesOption = False,
    stock: Annotated[bool, typer.Option("--stock", help="Label Studio without Quorum's plugin.")] = False,
    host: Annotated[str, typer.Option(help="Address that Label Studio listens on.")] = LOOPBACK,
    data_dir: Annotated[Path, typer.Option(envvar="QUORUM_DATA_DIR", help="Where everything is kept.")] = Path(
        ".quorum"
    ),
    ls_port: Annotated[int, typer.Option(envvar="QUORUM_LS_PORT", min=1, max=65535)] = 8080,
    ml_port: Annotated[int, typer.Option(envvar="QUORUM_ML_PORT", min=1, max=65535)] = 9090,
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Start over: move what the data folder holds aside, answers too, into replaced/."),
    ] = False,
    repair: RepairOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check files, packages and ports; start nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="When ready, print one JSON object.")] = False,
) -> None:
    """Start Label Studio, the ML backend and a campaign; keep running; stop all on Ctrl-C.

    Run it again with the same data folder and it goes on where it stopped.
    """
    wanted = replace(
        files(rows=rows, team=team, policy=policy, task=task, name=name),
        mapping=read_mapping(mapping),
        reading=read_options(form, encoding, delimiter, quotes, sheet, offsets, max_chars),
        repair=repair,
        renames=read_renames(rename),
    )
    where = settings(ls_port, ml_port, host=host, stock=stock)
    serve(wanted, where, data_dir, fresh=fresh, dry_run=dry_run, as_json=as_json, yes=yes)


def files(
    *,
    rows: Path | None = None,
    team: Path | None = None,
    policy: Path | None = None,
    task: str = "response_review",
    name: str | None = None,
) -> Files:
    """The files of a campaign; what is not given is the example's."""
    with told(SPEAKER):
        return Files(
            rows=rows or example("rows.jsonl"),
            team=team or example("team.yaml"),
            policy=policy or example("policy.yaml"),
            task=task,
            name=name or (rows.stem if rows else EXAMPLE),
        )


def settings(ls_port: int, ml_port: int, *, host: str = LOOPBACK, stock: bool = False) -> StackSettings:
    """Where to listen, and with or without the plugin."""
    return StackSettings(host=host, ls_port=ls_port, ml_port=ml_port, plugin=not stock)


def serve(
    wanted: Files,
    settings: StackSettings,
    data_dir: Path,
    *,
    fresh: bool = False,
    dry_run: bool = False,
    as_json: bool = False,
    yes: bool = False,
    then: Callable[[dict[str, Any]], None] = lambda access: None,
) -> None:
    """Bring everything up and keep it up until a signal.

    Args:
        wanted: The campaign's files.
        settings: Where to listen.
        data_dir: Where everything is kept.
        fresh: Start over, with an empty data folder.
        dry_run: Only check.
        as_json: Print an object instead of a page when ready.
        yes: Change a campaign that is there also where decided rows are open again.
        then: Called once with the content of the access file when all is ready.

    Raises:
        typer.Exit: With 1, after one line a fault.
    """
    try:
        with _stop_on_signals(), told(SPEAKER):
            asking = Asking(yes=yes, as_json=as_json, say=_say)
            _run(wanted, settings, data_dir, asking, fresh=fresh, dry_run=dry_run, then=then)
    except requests.RequestException as error:
        _fail(f"Label Studio: stopped answering ({type(error).__name__}); its output: {data_dir}/logs/label-studio.log")
    except KeyboardInterrupt:
        _say("stopped; the data stays in " + str(data_dir))


def _run(
    wanted: Files,
    settings: StackSettings,
    data_dir: Path,
    asking: Asking,
    *,
    fresh: bool,
    dry_run: bool,
    then: Callable[[dict[str, Any]], None],
) -> None:
    with read_plan(wanted) as plan, DataFolder(data_dir) as folder:
        if not dry_run:
            # Before anything else: such a part may be writing to the database.
            left_over.end_parts(folder.path, _say)
        if fresh:
            _start_over(folder, dry_run=dry_run)
        if not (fresh and dry_run):
            folder.check()
        preflight(settings, wait_s=PATIENCE if folder.was_cut_off and not dry_run else 0, say=_say)
        if dry_run:
            _say(f"files, packages and ports are good: {plan.rows.rows} rows, {len(plan.campaign.team.people)} people")
            for lack in shortages(plan.campaign.team, plan.campaign.policy):
                _say(f"warning: {lack}")
            if folder.has_database:
                _say("what changed files do to rows that are there is said when it starts, before anything changes")
            return
        with folder.naming_a_full_disk():
            secrets = folder.secrets(plan.owner_email)
        for note in folder.notes:
            _say(f"note: {note}")
        board = Board()
        with folder.naming_a_full_disk(), running(folder, settings, secrets) as stack:
            with board:
                stack.start(board)
                port = HttpLabelStudio(stack.url, secrets.owner.token)
                ready = fill(stack, port, plan, board, asking.confirm)
            # With the plugin the server fills the queues itself.
            if not settings.plugin:
                stack.add(_sync(stack, wanted.name))
            content = access(stack, port, ready)
            write_json(folder.access, content, private=True)
            _announce(stack, content, ready, as_json=asking.as_json)
            then(content)
            stack.watch()


def _start_over(folder: DataFolder, *, dry_run: bool) -> None:
    """Say what goes, ask where somebody is there to answer, and move it aside."""
    contents = folder.contents()
    if not contents:
        return
    _say(f"--fresh {'would move' if dry_run else 'moves'} aside what {folder.path} holds: {contents}")
    if dry_run:
        return
    if sys.stdin.isatty():
        typer.confirm("Start over without it?", abort=True, err=True)
    _say(f"it lies in {folder.move_aside()} now; move it back to go on with it")


def _sync(stack: Stack, campaign: str) -> Child:
    """What fills the queues of a stock server, as a part of its own."""
    env = own_environment() | {
        "QUORUM_URL": stack.url,
        "QUORUM_API_KEY": stack.secrets.owner.token,
        "QUORUM_DATA_DIR": str(stack.folder.path),
    }
    command = [sys.executable, "-m", "label_studio_quorum", "sync", "--watch", "--every", "5", "--name", campaign]
    return Child("Sync", command, env, stack.folder.logs / "sync.log", stack.folder.path)


def _announce(stack: Stack, content: dict[str, Any], ready: Ready, *, as_json: bool) -> None:
    """Say where everything is."""
    if as_json:
        shown = {"ready": True, "access": str(stack.folder.access), "url": stack.url, "ml_url": stack.ml_url}
        print(
            json.dumps(
                shown
                | {
                    "campaigns": content["campaigns"],
                    "status": ready.status.to_json(),
                    "change": ready.planned.to_json(),
                }
            ),
            flush=True,
        )
        return
    out = Console(highlight=False)
    # A log file has no width; tables would be cut at 80.
    if not out.is_terminal:
        out = Console(highlight=False, width=140)
    _page(out, stack, content, ready)


def _page(out: Console, stack: Stack, content: dict[str, Any], ready: Ready) -> None:
    out.print(Text.assemble("\n", ("Quorum is ready: ", "bold"), (stack.url, "bold underline"), "\n"))
    people = Table("person", "email", "password", "roles", "expertise", box=None, pad_edge=False)
    for person in content["people"]:
        password = person["password"] or "(their own)"
        cells = (person["id"], person["email"], password, ", ".join(person["roles"]), ", ".join(person["expertise"]))
        people.add_row(*map(Text, cells))
    manager = content["manager"]
    # The owner need not be in the team file, and somebody has to be able to log in.
    if manager["email"] not in {person["email"] for person in content["people"]}:
        password = manager["password"] or "(their own)"
        people.add_row(*map(Text, ("owner", manager["email"], password, "manager", "")))
    out.print(people)
    out.print(Text(f"\n{_queues(ready)}"))
    if stack.settings.plugin:
        out.print(Text(f"everybody's own work: {stack.url}/quorum/mine/   the manager's page: {stack.url}/quorum/"))
    out.print(Text(f"data and logs: {stack.folder.path}   ML backend: {stack.ml_url}"))
    for note in ready.notes:
        out.print(Text(f"note: {note}"))
    out.print(Text("Ctrl-C stops everything; the data stays."))
    out.print(Text("A simulated team, from another terminal: make demo, or quorum demo\n"))


def _queues(ready: Ready) -> str:
    waiting = ", ".join(f"{count} {state.value}" for state, count in ready.status.states.items() if count)
    return f"campaign {ready.campaign.name}: {ready.status.rows} rows ({waiting})"


@contextmanager
def _stop_on_signals() -> Iterator[None]:
    """Let signals end the run: Ctrl-C even behind a script's `&`, which switches it off; a hang-up not behind nohup."""

    def stop(_signum: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    heard = [signum for signum in STOPPING if not (nohup and signum == signal.SIGHUP)]
    before = {signum: signal.signal(signum, stop) for signum in heard}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _fail(text: str) -> NoReturn:
    _say("\n".join(f"quorum up: {line}" for line in text.splitlines()))
    raise typer.Exit(1)
