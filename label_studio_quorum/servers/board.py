"""What a person sees while parts start: one line a part, alive on a terminal and plain elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn


class Board:
    """Progress of named parts, written to standard error."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        self._began: dict[str, float] = {}
        self._lines: dict[str, TaskID] = {}
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("{task.fields[part]}", style="bold"),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )

    def __enter__(self) -> Board:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def say(self, part: str, text: str) -> None:
        """Show what a part does now."""
        self._began.setdefault(part, time.monotonic())
        if not self.console.is_terminal:
            self.console.print(f"{part}: {text}", markup=False, soft_wrap=True)
            return
        if part not in self._lines:
            self._lines[part] = self._progress.add_task(text, total=1, part=f"{part:<13}")
        self._progress.update(self._lines[part], description=text)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the terminal to somebody who asks a question on it."""
        self._progress.stop()
        try:
            yield
        finally:
            self._progress.start()

    def done(self, part: str, text: str) -> None:
        """Show that a part is ready; plain output also says after how many seconds."""
        began = self._began.setdefault(part, time.monotonic())
        if self.console.is_terminal:
            self.say(part, text)
            self._progress.update(self._lines[part], completed=1)
        else:
            self.say(part, f"{text} ({time.monotonic() - began:.1f} s)")
