"""How a file of rows is read: the same options for every command that reads one, since its faults name them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from label_studio_quorum.intake import Options

MapOption = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        help="FIELD=COLUMN, or a file of such pairs; may be repeated. An empty COLUMN means none; in JSON it may be a "
        "path: query=inputs.question.",
    ),
]
FormatOption = Annotated[str | None, typer.Option("--format", help="Format, if the ending does not tell.")]
EncodingOption = Annotated[str | None, typer.Option("--encoding", help="Encoding of a text file, if it is not UTF-8.")]
DelimiterOption = Annotated[
    str | None, typer.Option("--delimiter", help="Delimiter of a table, if its header does not tell.")
]
QuotesOption = Annotated[
    str | None,
    typer.Option(
        "--quotes", help="Tab-separated values: how cells are quoted (csv, none, backslash), if the file does not tell."
    ),
]
SheetOption = Annotated[str | None, typer.Option("--sheet", help="The only sheet of a workbook to read.")]
OffsetsOption = Annotated[
    str,
    typer.Option(
        "--offsets",
        help="What spans count: code-points, detect, utf-16, utf-8, inclusive, utf-16-inclusive, utf-8-inclusive.",
    ),
]
MaxCharsOption = Annotated[int | None, typer.Option("--max-chars", min=1, help="Most characters of a row.")]


def usage(message: str) -> NoReturn:
    """End with a line on stderr, as wrong usage."""
    typer.echo(message, err=True)
    raise typer.Exit(2)


def read_options(
    form: str | None,
    encoding: str | None,
    delimiter: str | None,
    quotes: str | None,
    sheet: str | None,
    offsets: str,
    max_chars: int | None,
) -> Options:
    """How the file is read."""
    from label_studio_quorum.intake import Options
    from label_studio_quorum.intake.checks.record_faults import OFFSETS, ROW_CHARS
    from label_studio_quorum.intake.tab_separated import QUOTES

    if offsets not in OFFSETS:
        usage(f"--offsets {offsets}: known are {', '.join(OFFSETS)}")
    if quotes is not None and quotes not in QUOTES:
        usage(f"--quotes {quotes}: known are {', '.join(QUOTES)}")
    return Options(
        format=form,
        encoding=encoding,
        delimiter=delimiter,
        quotes=quotes,
        sheet=sheet,
        offsets=offsets,
        max_chars=max_chars or ROW_CHARS,
    )


def read_mapping(pairs: list[str] | None) -> dict[str, str]:
    """Which column is taken for which field."""
    from label_studio_quorum.intake import load_mapping

    try:
        return load_mapping(pairs)
    except ValueError as error:
        usage(f"--map: {error}")
