"""`quorum interface`: take the label interface and the guidelines that a campaign's people see into a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from label_studio_quorum.commands.shared_options import (
    DryRunOption,
    ForceOption,
    JsonOption,
    KeyFileOption,
    KeyOption,
    NameOption,
    UrlOption,
    connect,
)

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def group() -> None:
    """Take the label interface and the guidelines that a campaign's people see into a folder."""


@app.command()
def pull(
    folder: Annotated[
        Path | None,
        typer.Argument(file_okay=False, metavar="[FOLDER]", help="Folder to write into; else the one of set-up."),
    ] = None,
    name: NameOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    api_key_file: KeyFileOption = None,
    force: ForceOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Take label.xml and guidelines.md from the server. A file that shows the same stays as it is, comments and all."""
    from label_studio_quorum.commands.pulling import pull_interface

    port = connect(url, api_key, api_key_file, name=name)
    pull_interface(port, name, folder, force=force, dry_run=dry_run, as_json=as_json)
