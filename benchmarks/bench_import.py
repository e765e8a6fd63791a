"""How fast rows go in: `quorum`'s import with all its checks beside a bare SDK import of the same rows, taking turns.

Both send the same tasks with the same predictions to fresh projects of one real Label Studio with the plugin, on SQLite
or PostgreSQL; the bare one's belong to no campaign. Quorum's time runs from opening the file to the last row on the
server and the last warning: reading, every check of the rows and of the file as a whole (duplicates, near-duplicates,
leaks, language, lengths, personal data), looking up what is there, results.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import data
from benchmarks.harness import Arguments, Line, Report, require, run, write_lines
from benchmarks.servers import add_server, describe_server, enter_server
from label_studio_quorum.adapters.label_studio import HttpLabelStudio
from label_studio_quorum.campaign.importing import CheckedFile, import_rows
from label_studio_quorum.campaign.row_task import task_data
from label_studio_quorum.campaign.setup import CampaignSpec, setup_campaign
from label_studio_quorum.intake import Row, read_rows
from label_studio_quorum.intake.background_check import BackgroundCheck
from ls_config.interface import Interface, load
from ls_config.results import to_result
from review_rules import load_policy, load_team
from tests.support.campaigns import POLICY, TEAM
from tests.support.servers import LabelStudioServer

CLAIM = "an import with all its checks is about as fast as a bare import of the same rows by Label Studio's SDK"


def import_bare(server: LabelStudioServer, interface: Interface, file: Path) -> float:
    """Seconds of the SDK's own import of the same tasks, made ready beforehand."""
    from label_studio_sdk import LabelStudio

    client = LabelStudio(base_url=server.url, api_key=server.token, timeout=600)
    project = client.projects.create(title="bare", label_config=interface.xml, maximum_annotations=2)
    tasks: list[dict[str, Any]] = []
    for row in read_rows(file, interface=interface):
        if not isinstance(row, Row):
            continue  # a warning about a row that comes too
        task = task_data(row)
        result = to_result(row.auto_label or {}, interface.controls, task)
        tasks.append({"data": task, "predictions": [{"model_version": "auto-label", "result": result}]})
    started = time.perf_counter()
    client.projects.import_tasks(id=project.id, request=tasks)
    return time.perf_counter() - started


def import_checked(server: LabelStudioServer, interface: Interface, file: Path, name: str) -> float:
    """Seconds from opening the file to the last row on the server and the last warning."""
    policy, team = load_policy(POLICY), load_team(TEAM.format(tag="bench"))
    with HttpLabelStudio(server.url, server.token) as port:
        made = setup_campaign(port, CampaignSpec(name=name, interface=interface, policy=policy, team=team))
        assert made.campaign is not None
        started = time.perf_counter()
        with BackgroundCheck() as background, CheckedFile.read(file, interface=interface, policy=policy) as checked:
            assert not checked.errors
            background.begin(checked.stored.path(), str(file), interface)
            report = import_rows(port, made.campaign, checked)
            stored = time.perf_counter() - started
            warnings = background.finish()
        took = time.perf_counter() - started
        assert report.imported == report.prelabelled == checked.rows
    progress = f"rows stored after {stored:.1f} s, {len(warnings)} warnings of the file as a whole after {took:.1f} s"
    print(progress, file=sys.stderr)
    return took


def measure(options: argparse.Namespace) -> Report:
    """Import the same file by both, in turns."""
    require("server", "label_studio")
    interface, count = load("response_review"), options.rows
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server, _ = enter_server(stack, folder, options)
        rows = data.rows(count, seed=options.seed, folder=options.data)
        # Auto-labels of the data may be of another label type: every row gets one of this interface.
        file = write_lines(folder / "rows.jsonl", (row | {"auto_label": data.AUTO_LABEL} for row in rows))
        import_bare(server, interface, file)  # warms the server up
        pairs = []
        for turn in range(options.repeats):
            # Turn and turn about, so that a growing database favours neither.
            if turn % 2:
                bare = import_bare(server, interface, file)
                checked = import_checked(server, interface, file, f"b{turn}")
            else:
                checked = import_checked(server, interface, file, f"b{turn}")
                bare = import_bare(server, interface, file)
            pairs.append((checked, bare))
    checked, bare = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratios = [bare / checked for checked, bare in pairs]
    spread = f"medians of {len(pairs)}, of the ratios too ({min(ratios):.2f}–{max(ratios):.2f})"
    line = Line(
        what=f"quorum import, {count:,} rows with predictions",
        measured=count / checked,
        unit="rows/s",
        instead="bare SDK import",
        reference=count / bare,
        ratio=statistics.median(ratios),
        claimed="ratio ≥ 0.9",
        note=f"{describe_server(options)}; {spread}",
    )
    return Report(claim=CLAIM, data=data.rows_described(options.data, options.seed), lines=[line])


def main() -> None:
    """Measure and print."""
    arguments = Arguments(__doc__, data=f"folder with {data.ROWS_FILE}; else the example campaign")
    arguments.size("--rows", 5_000, 300, "rows of the file")
    arguments.size("--repeats", 3, 1, "imports by each")
    add_server(arguments)
    options = arguments.read()
    run(options, lambda: measure(options))


if __name__ == "__main__":
    main()
