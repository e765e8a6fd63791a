"""How fast rows go in: `quorum`'s import with all its checks beside a bare SDK import of the same rows, taking turns.

    python benchmarks/bench_import.py [--source FILE] [--rows N] [--repeats N] [--stock | --postgres]

Both send the same tasks with the same predictions to fresh projects of one real Label Studio with the plugin, on SQLite
or PostgreSQL; the bare one's belong to no campaign. Quorum's time runs from opening the file to the last row on the
server and the last warning: reading, every check of the rows and of the file as a whole (duplicates, near-duplicates,
leaks, language, lengths, personal data), looking up what is there, results.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from label_studio_quorum.adapters.label_studio import HttpLabelStudio  # noqa: E402
from label_studio_quorum.campaign.importing import CheckedFile, import_rows  # noqa: E402
from label_studio_quorum.campaign.row_task import task_data  # noqa: E402
from label_studio_quorum.campaign.setup import CampaignSpec, setup_campaign  # noqa: E402
from label_studio_quorum.intake import Row, read_rows  # noqa: E402
from label_studio_quorum.intake.background_check import BackgroundCheck  # noqa: E402
from label_studio_quorum.servers.label_studio import STOCK, WITH_PLUGIN  # noqa: E402
from ls_config.interface import Interface, load  # noqa: E402
from ls_config.results import to_result  # noqa: E402
from review_rules import load_policy, load_team  # noqa: E402
from tests.contract.plugin_postgres import postgres, postgres_server  # noqa: E402
from tests.support.campaigns import POLICY, TEAM  # noqa: E402
from tests.support.servers import LabelStudioServer, label_studio_server  # noqa: E402

# The rows' own auto-labels are of another label type; every row gets one of this interface instead.
AUTO_LABEL = {"verdict": "Correct", "issues": [], "response_type": "Direct answer", "correctness": 4, "completeness": 4,
              "helpfulness": 4, "tone": 4}  # fmt: skip


def rows_file(source: Path, folder: Path, count: int) -> Path:
    """So many rows, each with an auto-label of the interface.

    After the real ones come others that are half of one and half of another, so that none is a near-duplicate.
    """
    real = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]
    out = folder / "rows.jsonl"
    with out.open("w", encoding="utf-8") as file:
        for number in range(count):
            turn, place = divmod(number, len(real))
            row, other = real[place], real[(place + 37 * turn) % len(real)]
            kept = {key: row[key] for key in ("context", "query", "domain")} | {"id": f"{row['id']}#{turn}"}
            text, more = row["response"], other["response"]
            kept["response"] = text[: len(text) // 2] + more[len(more) // 2 :]
            kept["query"] = row["query"] if turn == 0 else other["query"]
            file.write(json.dumps(kept | {"auto_label": AUTO_LABEL}, ensure_ascii=False) + "\n")
    return out


def bare(server: LabelStudioServer, interface: Interface, file: Path) -> float:
    """Seconds of the SDK's own import of the same tasks, made ready beforehand."""
    from label_studio_sdk import LabelStudio

    client = LabelStudio(base_url=server.url, api_key=server.token, timeout=600)
    project = client.projects.create(title="bare", label_config=interface.xml, maximum_annotations=2)
    tasks: list[dict[str, Any]] = []
    for row in read_rows(file, interface=interface):
        if not isinstance(row, Row):
            continue  # a warning about a row that comes too
        data = task_data(row)
        result = to_result(row.auto_label or {}, interface.controls, data)
        tasks.append({"data": data, "predictions": [{"model_version": "auto-label", "result": result}]})
    started = time.perf_counter()
    client.projects.import_tasks(id=project.id, request=tasks)
    return time.perf_counter() - started


def ours(server: LabelStudioServer, interface: Interface, file: Path, name: str) -> float:
    """Seconds from opening the file to the last row on the server and the last warning."""
    policy, team = load_policy(POLICY), load_team(TEAM.format(tag="bench"))
    with HttpLabelStudio(server.url, server.token) as port:
        made = setup_campaign(port, CampaignSpec(name=name, interface=interface, policy=policy, team=team))
        assert made.campaign is not None
        started = time.perf_counter()
        with BackgroundCheck() as background, CheckedFile.read(file, interface=interface, policy=policy) as checked:
            assert not checked.errors
            background.begin(checked.held.path(), str(file), interface)
            report = import_rows(port, made.campaign, checked)
            stored = time.perf_counter() - started
            warnings = background.finish()
        took = time.perf_counter() - started
        assert report.imported == report.prelabelled == checked.rows
        said = f"rows stored after {stored:.1f} s, {len(warnings)} warnings of the file as a whole after {took:.1f} s"
        print(said, file=sys.stderr)
    return took


def main() -> None:
    """Run and print a table."""
    shared = Path(os.environ.get("QUORUM_SHARED_DATA") or ROOT.parent / "shared" / "data")
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--source", type=Path, default=shared / "responses_dev.jsonl")
    options.add_argument("--rows", type=int, default=5000)
    options.add_argument("--repeats", type=int, default=3)
    where = options.add_mutually_exclusive_group()
    where.add_argument("--stock", action="store_true", help="a server without the plugin, on SQLite")
    where.add_argument("--postgres", action="store_true", help="on PostgreSQL 15 instead of SQLite")
    given = options.parse_args()
    interface = load("response_review")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(
            postgres_server(folder, stack.enter_context(postgres()))
            if given.postgres
            else label_studio_server(folder, STOCK if given.stock else WITH_PLUGIN)
        )
        count = given.rows
        file = rows_file(given.source, folder, count)
        bare(server, interface, file)  # warm up
        pairs = []
        for turn in range(given.repeats):
            # Turn and turn about, so that a growing database favours neither.
            if turn % 2:
                reference, mine = bare(server, interface, file), ours(server, interface, file, f"b{turn}")
            else:
                mine, reference = ours(server, interface, file, f"b{turn}"), bare(server, interface, file)
            pairs.append((reference, mine))
    engine = "PostgreSQL" if given.postgres else "SQLite"
    server_is = "stock" if given.stock else "plugin"
    print(f"{count} rows with predictions, {given.repeats} repeats, Label Studio on {engine} ({server_is})")
    for label, index in (("bare SDK", 0), ("quorum", 1)):
        times = [pair[index] for pair in pairs]
        middle, slowest, fastest = (count / one for one in (statistics.median(times), max(times), min(times)))
        print(f"{label:<10}{middle:>8.0f} rows/s (median; {slowest:.0f}–{fastest:.0f})")
    ratios = [pair[0] / pair[1] for pair in pairs]
    low, high = min(ratios), max(ratios)
    print(f"quorum / bare: {statistics.median(ratios):.2f} (median of pairs; {low:.2f}–{high:.2f}; goal ≥ 0.9)")


if __name__ == "__main__":
    main()
