"""`quorum guidelines`: the versions of a campaign's guidelines, how they differ, and the publication of the next."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from label_studio_quorum.commands.change_costs import YesOption
from label_studio_quorum.commands.shared_options import (
    DryRunOption,
    JsonOption,
    KeyFileOption,
    KeyOption,
    NameOption,
    UrlOption,
    campaign_name,
    connect,
    print_json,
    remembered,
)

app = typer.Typer(add_completion=False, no_args_is_help=True)

VersionArgument = Annotated[int | None, typer.Argument(metavar="[NUMBER]", min=1, help="The version; else the newest.")]
_SIGNS = {"added": "+ ", "removed": "- ", "same": "  "}


@app.callback()
def group() -> None:
    """List, show and compare the versions of a campaign's guidelines, and publish the next."""


@app.command(name="list")
def list_(
    name: NameOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    api_key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the versions, oldest first: when, by whom, what changed, and whether people acknowledge it first."""
    name = campaign_name(url, name)
    with connect(url, api_key, api_key_file, name=name) as port:
        listed = port.plugin_guidelines(name)
    if as_json:
        print_json(listed)
        return
    for version in listed["versions"]:
        asks = "  acknowledged first" if version["acknowledge"] else ""
        by = f"  {version['by']}" if version["by"] else ""
        typer.echo(f"{version['number']:>4}  {version['at'][:16]}  {version['hash'][:19]}{by}{asks}  {version['note']}")
    if not listed["versions"]:
        typer.echo("the server has no guidelines of this campaign")


@app.command()
def show(
    number: VersionArgument = None,
    name: NameOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    api_key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the text of a version."""
    name = campaign_name(url, name)
    with connect(url, api_key, api_key_file, name=name) as port:
        version = port.plugin_guidelines(name, number=number or _newest(port, name))
    if as_json:
        print_json(version)
    else:
        typer.echo(version["text"], nl=not version["text"].endswith("\n"))


@app.command()
def diff(
    number: VersionArgument = None,
    since: Annotated[
        int | None, typer.Option("--since", min=0, metavar="NUMBER", help="Compared with this; else the one before.")
    ] = None,
    name: NameOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    api_key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the paragraphs in which a version differs from the one before, or from another."""
    name = campaign_name(url, name)
    with connect(url, api_key, api_key_file, name=name) as port:
        version = port.plugin_guidelines(name, number=number or _newest(port, name), since=since)
    if as_json:
        print_json(version)
        return
    _print_changes(version["changes"])
    if not version["changes"]:
        typer.echo("no paragraph differs")


@app.command()
def publish(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The guidelines, Markdown.")],
    note: Annotated[str, typer.Option("--note", help="What has changed, in at most 500 characters; people read it.")],
    acknowledge: Annotated[
        bool, typer.Option("--acknowledge", help="People read and acknowledge it before their next row.")
    ] = False,
    recheck: Annotated[
        int, typer.Option("--recheck", min=0, max=100, help="Open so many of the decided rows that it touches again.")
    ] = 0,
    name: NameOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    api_key_file: KeyFileOption = None,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Publish a file as the next version; what changes and which decided rows that touches is said before."""
    name = campaign_name(url, name)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror
        typer.echo(f"quorum: {file} cannot be read: {why}", err=True)
        raise typer.Exit(1) from None
    wanted: dict[str, Any] = {"text": text, "note": note, "acknowledge": acknowledge, "recheck": recheck}
    with connect(url, api_key, api_key_file, name=name) as port:
        preview = port.publish_guidelines(name, wanted | {"dry_run": True})
        if not as_json:
            _tell(preview)
        if dry_run:
            if as_json:
                print_json(preview)
            return
        if preview["sample"] and not (yes or _is_answered_with_yes(as_json)):
            typer.echo(
                f"quorum: {len(preview['sample'])} decided rows would be open again, so nothing was published; "
                "give --yes to do it all the same",
                err=True,
            )
            raise typer.Exit(1)
        # Made from what holds now: if somebody publishes in between, nothing of this is done.
        done = port.publish_guidelines(name, wanted | {"base": preview["base"]})
    if as_json:
        print_json(done)
    else:
        _tell_done(done)
    _note_other_file(name, file, text)


def _newest(port: Any, name: str | None) -> int:
    versions = port.plugin_guidelines(name)["versions"]
    if not versions:
        typer.echo("quorum: the server has no guidelines of this campaign; quorum guidelines publish FILE", err=True)
        raise typer.Exit(1)
    return int(versions[-1]["number"])


def _print_changes(changes: list[dict[str, Any]]) -> None:
    for change in changes:
        typer.echo(f"{change['title'] or 'Beginning'} ({change['what']}, #{change['address']})")
        for line in change["lines"]:
            if line["kind"] != "same":
                typer.echo(f"  {_SIGNS[line['kind']]}{line['text']}")


def _tell(preview: dict[str, Any]) -> None:
    """Print what a publication would do."""
    _print_changes(preview["changes"])
    touched = preview["touched"]
    by = "; ".join(f"{why}: {count:,}" for why, count in touched["by"].items())
    of = f"{touched['looked']:,}" + (
        "" if touched["looked"] == touched["decided"] else f" newest of {touched['decided']:,}"
    )
    typer.echo(
        f"version {preview['number']} touches {touched['rows']:,} of the {of} decided rows" + (f" ({by})" if by else "")
    )
    if preview["people"]:
        typer.echo(f"{preview['people']:,} people acknowledge it before their next row")
    else:
        typer.echo("nobody is asked to acknowledge it: it holds at once")
    if preview["sample"]:
        typer.echo(f"opened again: {', '.join(preview['sample'])}")


def _tell_done(done: dict[str, Any]) -> None:
    typer.echo(f"published version {done['version']['number']}")
    for row_id, why in done["not_opened"].items():
        typer.echo(f"quorum: row {row_id} was not opened again: {why}", err=True)


def _is_answered_with_yes(as_json: bool) -> bool:
    if as_json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    return typer.confirm("Decided rows are open again after this. Publish it?", err=True)


def _note_other_file(name: str | None, file: Path, text: str) -> None:
    """Say that the folder which the next set-up reads has other guidelines than were just published."""
    for known in remembered():
        folder = Path(known.task)
        own = folder / "guidelines.md"
        if known.name != name or not folder.is_absolute() or file.absolute() == own:
            continue
        if not own.is_file() or own.read_text(encoding="utf-8", errors="replace") != text:
            typer.echo(f"note: {own} has other guidelines; quorum interface pull takes the new ones", err=True)
