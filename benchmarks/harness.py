"""What all benchmarks share: their arguments, how they print what they measured, and how they measure a process."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column, Table

ROOT = Path(__file__).resolve().parent.parent
QUORUM = (sys.executable, "-m", "label_studio_quorum")
"""The `quorum` command of this checkout; runs with `ROOT` on the path."""


class NotMeasured(Exception):
    """A figure that cannot be had here; the message is one sentence that says what it needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One measured figure, beside what a user would have without Quorum.

    Attributes:
        what: What was measured.
        measured: The figure; None for what could not be measured, which `note` then explains.
        unit: Its unit.
        instead: What a user would use instead, measured in the same run; empty where there is nothing.
        reference: The figure of that.
        ratio: `measured` / `reference`, unless the benchmark takes it from pairs that were measured in turns.
        claimed: What the documentation promises of `measured` or the ratio; empty where it promises nothing.
        note: What else a reader has to know.
    """

    what: str
    measured: float | None
    unit: str = ""
    instead: str = ""
    reference: float | None = None
    ratio: float | None = None
    claimed: str = ""
    note: str = ""

    @property
    def times(self) -> float | None:
        """The ratio that is shown."""
        if self.ratio is not None or self.measured is None or not self.reference:
            return self.ratio
        return self.measured / self.reference

    def to_json(self) -> dict[str, Any]:
        """The line as an object; keys without a value are left out."""
        values = {
            "what": self.what, "measured": self.measured, "unit": self.unit, "instead": self.instead,
            "reference": self.reference, "ratio": self.times, "claimed": self.claimed, "note": self.note,
        }  # fmt: skip
        return {name: value for name, value in values.items() if value not in (None, "")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a benchmark prints.

    Attributes:
        claim: What the documentation says, in one sentence.
        data: Where the data come from.
        lines: The figures.
        left_out: What was not measured; one sentence each.
    """

    claim: str
    data: str
    lines: Sequence[Line]
    left_out: Sequence[str] = ()


@dataclass
class Arguments:
    """The arguments of a benchmark: the common ones, and those that it adds.

    Args:
        text: The docstring of the script.
        data: What `--data` is to the benchmark, for its help.
        seed: The seed unless `--seed` says otherwise.
    """

    text: str | None
    data: str = "not used: the data are made by the seed"
    seed: int = 7
    parser: argparse.ArgumentParser = field(init=False)
    _sizes: dict[str, tuple[Any, Any]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        formatter = argparse.RawDescriptionHelpFormatter
        self.parser = argparse.ArgumentParser(description=self.text, formatter_class=formatter)
        self.parser.add_argument("--quick", action="store_true", help="small sizes: shows that it runs, proves little")
        self.parser.add_argument("--data", type=Path, metavar="FOLDER", help=self.data)
        self.parser.add_argument("--seed", type=int, default=self.seed, help="of all that is drawn (%(default)s)")
        self.parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")

    def size(self, name: str, usual: Any, quick: Any, text: str, **more: Any) -> None:
        """Add an option with one default for a measurement and one for `--quick`."""
        option = self.parser.add_argument(name, type=int, help=f"{text} ({usual}; with --quick {quick})", **more)
        self._sizes[option.dest] = (usual, quick)

    def read(self) -> argparse.Namespace:
        """Read the command line."""
        options = self.parser.parse_args()
        for name, (usual, quick) in self._sizes.items():
            if getattr(options, name) is None:
                setattr(options, name, quick if options.quick else usual)
        return options


def run(options: argparse.Namespace, measure: Callable[[], Report]) -> None:
    """Measure and print; what cannot be measured here is said in one sentence, and is no failure."""
    name = Path(sys.argv[0]).stem
    started = time.perf_counter()
    try:
        if sys.platform != "linux":
            raise NotMeasured("the benchmarks read processor time and memory from /proc, which only Linux has")
        report = measure()
    except NotMeasured as reason:
        print(json.dumps({"benchmark": name, "not_measured": str(reason)}) if options.json else f"{name}: {reason}.")
        return
    seconds = round(time.perf_counter() - started, 1)
    if options.json:
        lines = [line.to_json() for line in report.lines]
        out = {"benchmark": name, "claim": report.claim, "data": report.data, "machine": machine(), "seconds": seconds}
        print(json.dumps(out | {"lines": lines, "not_measured": list(report.left_out)}, ensure_ascii=False))
    else:
        _print(report)
        print(f"{machine()}; {seconds} s" + ("; --quick, so no figures to quote" if options.quick else ""))


def machine() -> str:
    """The date and the machine: what every figure has to carry."""
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    return f"{datetime.now(UTC):%Y-%m-%d}, {cores} cores, load {load:.1f}, Python {platform.python_version()}"


def _print(report: Report) -> None:
    right = ("measured", "instead", "ratio")
    names = ("what", "measured", "unit", "instead of it", "instead", "ratio", "claimed", "note")
    filled = [name for name in names if any(_cells(line)[name] for line in report.lines)]
    table = Table(*(Column(name, justify="right" if name in right else "left") for name in filled))
    for line in report.lines:
        cells = _cells(line)
        table.add_row(*(cells[name] for name in filled))
    console = Console(width=None if sys.stdout.isatty() else 180, highlight=False, markup=False)
    console.print(f"Claim: {report.claim}")
    console.print(f"Data: {report.data}")
    if report.lines:
        console.print(table)
    for sentence in report.left_out:
        console.print(f"Not measured: {sentence}.")


def _cells(line: Line) -> dict[str, str]:
    ratio = "" if line.times is None else f"{line.times:,.2f}" if line.times >= 0.1 else f"{line.times:.2g}"
    return {
        "what": line.what, "measured": _number(line.measured) or "–", "unit": line.unit, "instead of it": line.instead,
        "instead": _number(line.reference), "ratio": ratio, "claimed": line.claimed, "note": line.note,
    }  # fmt: skip


def _number(value: float | None) -> str:
    """Three figures behind the point for small numbers, none for large ones."""
    if value is None:
        return ""
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 or value == int(value) else f"{value:,.{1 if size >= 10 else 3}f}"


def require(extra: str, *modules: str) -> None:
    """Raise NotMeasured, naming the extra to install, unless all these modules are there."""
    lacking = [name for name in modules if find_spec(name) is None]
    if lacking:
        names = " and ".join(lacking)
        raise NotMeasured(f"needs {names}, which `pip install 'label-studio-quorum[{extra}]'` brings")


def read_lines(file: Path) -> list[dict[str, Any]]:
    """The objects of a JSON Lines file."""
    with file.open(encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def write_lines(file: Path, objects: Iterable[Mapping[str, Any]]) -> Path:
    """Write a JSON Lines file; returns it."""
    with file.open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(value, ensure_ascii=False) + "\n" for value in objects)
    return file


@dataclass(frozen=True, slots=True)
class Spent:
    """What a process used: wall-clock and processor seconds, and the most memory that it had, in MiB."""

    wall: float
    cpu: float
    peak: float


def spend(command: Sequence[str], *, out: Path, env: Mapping[str, str] | None = None, core: int | None = None) -> Spent:
    """Run a command to its end.

    The peak is read while the command runs, since its exit record also counts what this process held when it forked.

    Args:
        command: Program and arguments.
        out: The file for its standard output.
        env: Further environment variables.
        core: The one processor that it may use, else any.

    Raises:
        SystemExit: the command failed.
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | dict(env or {})
    peak = 0.0
    with out.open("wb") as stdout:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=stdout, env=environment, cwd=out.parent)
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            peak = max(peak, memory(process.pid, "VmHWM"))
            time.sleep(0.02)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command[1:])} ended with exit code {process.returncode}")
    return Spent(wall, usage.ru_utime + usage.ru_stime, peak)


def memory(pid: int, what: str) -> float:
    """MiB of a process: `VmRSS` is what it has now, `VmHWM` the most that it had; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0.0  # it ended between two looks
    return sum(int(line.split()[1]) for line in lines if line.startswith(f"{what}:")) / 1024


def processes_of(port: int) -> list[int]:
    """The processes of a server: those whose command names its port."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdecimal() and f":{port}" in (folder / "cmdline").read_text(errors="replace"):
                found.append(int(folder.name))
        except OSError:
            continue  # it ended meanwhile
    return found


def processor_seconds(processes: Iterable[int]) -> float:
    """What these processes have had of the processors since they started, in steps of ten milliseconds."""
    ticks = 0
    for pid in processes:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
