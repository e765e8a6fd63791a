"""The `quorum` command: a table of sub-commands, each imported only when it is called.

Importing the SDK, torch or Label Studio takes seconds; `quorum decide` needs none of them.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from label_studio_quorum.commands.closing import closing
from label_studio_quorum.commands.examples import add_examples
from label_studio_quorum.commands.telling import told

COMMANDS: dict[str, tuple[str, str]] = {
    "up": ("up", "Start Label Studio, the ML backend and a campaign; stop all on Ctrl-C."),
    "demo": ("demo", "Let a simulated team work the running campaign to the end."),
    "setup": ("setup", "Create or update a campaign's three projects on a Label Studio server."),
    "check": ("check", "Check a file of rows and say every fault at once."),
    "import": ("import_", "Import rows into a campaign's Pass project."),
    "team": ("team", "Check, apply or pull a team file: accounts, roles, expertise."),
    "policy": ("policy", "Check or pull a policy file; print the JSON schemas of policy and team."),
    "interface": ("interface", "Take a campaign's label interface and guidelines from the server."),
    "sync": ("sync", "Bring the QA and Expert queues in line with the rules."),
    "status": ("status", "Show where every row of a campaign stands."),
    "threads": ("threads", "List what people ask about rows, and answer it."),
    "flags": ("flags", "List the rows that people flagged, by flag, and why."),
    "guidelines": ("guidelines", "List, show, compare and publish versions of a campaign's guidelines."),
    "precedents": ("precedents", "List the decided rows that are most like a row."),
    "notify": ("notify", "List notifications that left the server, send what is due, or a test."),
    "report": ("report", "Write a quality and productivity report."),
    "export": ("export", "Export gold, with the history that proves it."),
    "verify": ("verify", "Prove an export: decide every row again from its own history."),
    "decide": ("decide", "Decide row histories, one JSON line each."),
    "agreement": ("agreement", "Inter-annotator agreement of a file of votes, with intervals."),
    "prelabel": ("prelabel", "Pre-label a file or a project with the ML backend's models."),
    "models": ("models", "List, check, compare, train, activate and roll back models."),
    "audit": ("audit", "Prove from the server's record that passes were blind."),
    "doctor": ("doctor", "Check an installation and say what to mend."),
}


class LazyGroup(TyperGroup):
    """A group that imports a sub-command's module on first use.

    It is Typer's own group and not click's: Typer carries its own copy of click, and click would let that copy's
    exits and usage errors through as tracebacks.
    """

    _named_only = False

    def invoke(self, ctx: Any) -> Any:
        """Run the sub-command; this is the one place where the errors of all commands are told."""
        try:
            with told(command=lambda: f"quorum {ctx.invoked_subcommand}"), closing():
                return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo("quorum: stopped; run it again to go on", err=True)
            raise typer.Exit(130) from None

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        # The caller turns None into a usage error.
        if cmd_name not in COMMANDS:
            return None
        if self._named_only:
            return TyperCommand(cmd_name, help=COMMANDS[cmd_name][1])
        module = importlib.import_module(f"label_studio_quorum.commands.{COMMANDS[cmd_name][0]}")
        command = typer.main.get_command(module.app)
        command.name = cmd_name
        add_examples(command, cmd_name)
        return command

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the sub-command; the error for a mistyped one offers the nearest name."""
        # An option in its place is for the group's own parser to refuse.
        if args and args[0] not in COMMANDS and args[0][:1].isalnum() and not ctx.resilient_parsing:
            near = difflib.get_close_matches(args[0], COMMANDS, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(COMMANDS)}"
            ctx.fail(f"no such command {args[0]!r}{hint}")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Complete the commands' names from the table: what a command is called needs no import of it."""
        self._named_only = True
        try:
            return super().shell_complete(ctx, incomplete)
        finally:
            self._named_only = False

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"quorum {importlib.metadata.version('label-studio-quorum')}")
        raise typer.Exit


@app.callback()
def _quorum(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Label data that people can trust, on Label Studio Community Edition."""


main = typer.main.get_command(app)


if __name__ == "__main__":
    sys.exit(main())
