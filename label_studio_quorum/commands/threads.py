"""`quorum threads`: what people ask about rows, and where a manager answers it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from label_studio_quorum.commands.shared_options import (
    JsonOption,
    KeyFileOption,
    KeyOption,
    NameOption,
    UrlOption,
    campaign_name,
    connect,
    print_json,
)

_EVERYBODY = "to everybody"
app = typer.Typer(add_completion=False, help="List what people ask about rows, and answer it.")


@app.callback(invoke_without_command=True)
def show(
    context: typer.Context,
    name: NameOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    api_key_file: KeyFileOption = None,
    row: Annotated[str, typer.Option("--row", metavar="ID", help="This row's thread, with what its reviews say.")] = "",
    paragraph: Annotated[
        str, typer.Option("--paragraph", metavar="ANCHOR", help="The thread of this paragraph of the guidelines.")
    ] = "",
    everything: Annotated[bool, typer.Option("--all", help="Also threads in which nothing waits for you.")] = False,
    after: Annotated[
        str, typer.Option("--after", metavar="PLACE", help="The page that begins here, as the one before said.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """List the threads in which somebody waits for a manager, the newest first, or answer one by a command below."""
    if context.invoked_subcommand is not None:
        return
    if row and paragraph:
        raise typer.BadParameter("a thread is about a row or about a paragraph", param_hint="--paragraph")
    name, named = campaign_name(url, name), bool(row or paragraph)
    with connect(url, api_key, api_key_file, name=name) as port:
        listed = port.plugin_threads(
            name, row_id=row, paragraph=paragraph, only_open=not (named or everything), after=after
        )
    if as_json:
        print_json(listed)
        return
    for thread in listed["threads"]:
        state = f"  {thread['state']}" if thread["state"] else ""
        typer.echo(f"{_about(thread)}{state}")
        for entry in thread["messages"]:
            typer.echo(_line(entry))
    if listed["left_off"]:
        typer.echo(f"quorum: {listed['left_off']:,} more threads: --after {listed['after']}", err=True)
    if not any(thread["messages"] for thread in listed["threads"]):
        typer.echo("nothing was said" if named or everything else "nobody waits for an answer")


@app.command()
def answer(
    message: Annotated[int, typer.Argument(metavar="ID", help="The number of the question in quorum threads.")],
    text: Annotated[str, typer.Argument(help="The answer; it stays as it is written.")],
    publish: Annotated[
        bool,
        typer.Option("--publish", help="Everybody reads question and answer, without a name: of a row once decided."),
    ] = False,
    name: NameOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    api_key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer what somebody asked: they read it on their page, as of a manager."""
    message_body = {"kind": "answer", "answers": message, "text": text, "publish": publish}
    _say(name, url, api_key, api_key_file, message_body, as_json)


@app.command()
def tell(
    text: Annotated[str, typer.Argument(help="What everybody of the campaign shall know; it stays as it is written.")],
    name: NameOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    api_key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell everybody of the campaign something: they read it on their page."""
    _say(name, url, api_key, api_key_file, {"kind": "announcement", "text": text}, as_json)


@app.command()
def reopen(
    row: Annotated[str, typer.Argument(metavar="ROW", help="The row's id.")],
    reason: Annotated[str, typer.Argument(help="Why, in at most 500 characters; the row's people read it.")],
    name: NameOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    api_key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Open a row again that is decided or closed: no review from before counts, and QA is asked again."""
    name = campaign_name(url, name)
    with connect(url, api_key, api_key_file, name=name) as port:
        reopened = port.reopen_row(name, row, reason)
    if as_json:
        print_json(reopened)
    else:
        typer.echo(f"row {row} was {reopened['was']} and is {reopened['state']} now")


def _say(
    name: str | None, url: str | None, key: str | None, key_file: Any, message: dict[str, Any], as_json: bool
) -> None:
    name = campaign_name(url, name)
    with connect(url, key, key_file, name=name) as port:
        written = port.say_in_thread(name, message)
    if as_json:
        print_json(written)
    else:
        typer.echo(f"said {_about(written)}" if _about(written) == _EVERYBODY else f"said about {_about(written)}")


def _about(thing: dict[str, Any]) -> str:
    """What a thread or a message is about."""
    if thing["row_id"]:
        return f"row {thing['row_id']}"
    return f"paragraph {thing['paragraph']}" if thing["paragraph"] else _EVERYBODY


def _line(entry: dict[str, Any]) -> str:
    number = f"{entry['id']:>6}" if entry["id"] is not None else " " * 6
    by = f" {entry['by']}" if entry["by"] else ""
    waits = "  <- waits" if entry["is_open"] else "  (for everybody)" if entry["published"] else ""
    text = entry["text"].replace("\n", "\n" + " " * 9)
    return f"{number}  {entry['at'][:16]}  {entry['kind']} ({entry['role']}{by}){waits}\n         {text}"
