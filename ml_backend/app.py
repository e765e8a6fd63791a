"""The Flask app speaks Label Studio's ML-backend protocol, and swaps at `/models` which model answers."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson
import structlog
from flask import Flask, Response, g, jsonify, request
from flask.json.provider import DefaultJSONProvider
from werkzeug.exceptions import HTTPException

from ls_config.interface import Control, InterfaceError, parse
from ml_backend.comparing import Gold
from ml_backend.embedding import MOST_COLUMNS
from ml_backend.errors import ApiError
from ml_backend.live import LiveModels
from ml_backend.metrics import Metrics
from ml_backend.models import TaskPrediction
from ml_backend.settings import ServerConfig
from ml_backend.training.data import DataError, gold_of
from ml_backend.training.jobs import Jobs

log = structlog.get_logger("ml_backend")

OPEN_PATHS = frozenset({"/health"})
"""Paths that say nothing but that the process is alive, and ask for no credentials."""


KEPT_INTERFACE = 64 * 1024
"""Characters of the longest interface whose reading is kept; the longest of Label Studio's gallery has 10,164."""


def create_app(config: ServerConfig) -> Flask:
    """Make the app, and begin to load its models.

    Raises:
        ConfigError: the models file has faults.
    """
    app = Flask("ml_backend", static_folder=None)
    app.json = _Json(app)
    metrics = Metrics()
    live = LiveModels(config, metrics)
    jobs = Jobs(live.models.training, config)
    # Flask refuses a larger body before it is read: a limit of ours would come after it fills the memory.
    app.config["MAX_CONTENT_LENGTH"] = int(live.models.limits.request_mb * 1024 * 1024)
    app.extensions["quorum_ml"] = live
    _guard(app, config)
    _count(app, metrics)
    _errors(app)
    _protocol(app, live, metrics, jobs)
    _management(app, live)
    live.start()
    return app


class _Json(DefaultJSONProvider):
    """Writes answers by orjson: those of an entity model are long."""

    def response(self, *args: Any, **kwargs: Any) -> Response:
        """See `flask.json.provider.JSONProvider.response`."""
        value = self._prepare_response_obj(args, kwargs)
        try:
            return Response(orjson.dumps(value), mimetype=self.mimetype)
        except orjson.JSONEncodeError:
            # Half a surrogate pair in somebody's text: JSON can escape it, UTF-8 can't hold it.
            return Response(self.dumps(value), mimetype=self.mimetype)


def _guard(app: Flask, config: ServerConfig) -> None:
    @app.before_request
    def _check_credentials() -> None:
        if request.path not in OPEN_PATHS and not config.credentials.accept(request.headers.get("Authorization")):
            raise ApiError(
                401, "unauthorized", "show the server's token (Authorization: Bearer …) or its basic credentials"
            )


def _count(app: Flask, metrics: Metrics) -> None:
    @app.before_request
    def _begin() -> None:
        g.began = time.monotonic()

    @app.after_request
    def _end(response: Response) -> Response:
        path = request.url_rule.rule if request.url_rule is not None else "unknown"
        metrics.requests.labels(path, response.status_code).inc()
        log.info(
            "request",
            method=request.method,
            path=path,
            status=response.status_code,
            # A request that is refused before `_begin` runs has no beginning.
            seconds=round(time.monotonic() - g.get("began", time.monotonic()), 4),
            rows=g.get("rows"),
            model=g.get("model_version"),
        )
        return response


def _errors(app: Flask) -> None:
    def answer(status: int, code: str, message: str, retry_after: int | None = None) -> Response:
        response = jsonify({"error": {"code": code, "message": message}})
        response.status_code = status
        if retry_after is not None:
            response.headers["Retry-After"] = str(retry_after)
        if status == 401:
            # A browser offers credentials only where this header names the way.
            response.headers["WWW-Authenticate"] = 'Basic realm="quorum"'
        return response

    @app.errorhandler(ApiError)
    def _refused(error: ApiError) -> Response:
        return answer(error.status, error.code, error.message, error.retry_after)

    @app.errorhandler(HTTPException)
    def _http(error: HTTPException) -> Response:
        status = error.code or 500
        too_large = (
            f"the request is larger than {app.config['MAX_CONTENT_LENGTH'] // 1024} KiB; send fewer tasks at once"
        )
        return answer(
            status,
            error.name.lower().replace(" ", "_"),
            too_large if status == 413 else (error.description or error.name),
        )

    @app.errorhandler(Exception)
    def _unexpected(error: Exception) -> Response:
        # The edge of the process: whatever went wrong, the caller gets JSON without a traceback, the log its place.
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        where = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place is not None else "?"
        log.error("unexpected", type=type(error).__name__, where=where)
        return answer(500, "internal_error", f"the server failed ({type(error).__name__}); its log says where")


def _protocol(app: Flask, live: LiveModels, metrics: Metrics, jobs: Jobs) -> None:
    @app.get("/")
    @app.get("/health")
    @app.get("/use/<name>/health")
    def health(name: str | None = None) -> Response:
        return jsonify({"status": "UP", "model_class": "Quorum", "ready": live.ready})

    @app.get("/ready")
    def ready() -> Response:
        if not live.ready:
            raise ApiError(503, "not_ready", live.why_not, retry_after=2)
        return jsonify({"status": "READY", "model_version": live.version()})

    @app.post("/setup")
    @app.post("/use/<name>/setup")
    def setup(name: str | None = None) -> Response:
        body = _body()
        _interface(body.get("schema") or body.get("label_config"))
        return jsonify({"model_version": live.version(name)})

    @app.post("/validate")
    @app.post("/use/<name>/validate")
    def validate(name: str | None = None) -> Response:
        _interface(_body().get("config"))
        return jsonify({"status": "ok"})

    @app.route("/versions", methods=["GET", "POST"])
    @app.route("/use/<name>/versions", methods=["GET", "POST"])
    def versions(name: str | None = None) -> Response:
        return jsonify({"versions": [live.version(name)]})

    @app.post("/predict")
    @app.post("/use/<name>/predict")
    def predict(name: str | None = None) -> Response:
        body = _body()
        tasks = _tasks(body.get("tasks"), live.models.limits.tasks)
        controls = _interface(body.get("label_config"))
        g.rows = len(tasks)
        with live.use(name) as models:
            g.model_version = models.version
            # Measured from here: loading a model that a request names first is not the model's own speed.
            began = time.monotonic()
            predictions = models.predict(tasks, controls, live.batcher, live.models.limits.seconds)
            metrics.latency.labels(models.name).observe(time.monotonic() - began)
            metrics.rows.labels(models.name).inc(len(tasks))
            metrics.empty.labels(models.name).inc(sum(not prediction.result for prediction in predictions))
            results = [_written(prediction, models.version) for prediction in predictions]
            return jsonify({"results": results, "model_version": models.version})

    @app.post("/embed")
    @app.post("/use/<name>/embed")
    def embed(name: str | None = None) -> Response:
        rows = _rows(_body().get("rows"), live.models.limits.tasks)
        g.rows = len(rows)
        embedded = live.embed(name, rows)
        return jsonify({"model_version": embedded.version, "vectors": embedded.written()})

    @app.post("/webhook")
    @app.post("/use/<name>/webhook")
    def webhook(name: str | None = None) -> tuple[Response, int]:
        return jsonify(jobs.hear(_body())), 202

    @app.route("/job_status", methods=["GET", "POST"])
    def job_status() -> Response:
        return jsonify(jobs.describe())

    @app.get("/metrics")
    def metrics_text() -> Response:
        return Response(metrics.text(), mimetype="text/plain")


def _management(app: Flask, live: LiveModels) -> None:
    @app.get("/models")
    def models() -> Response:
        return jsonify(live.describe())

    @app.post("/models/compare")
    def compare() -> Response:
        body = _body()
        a = None if body.get("a") is None else _name(body, "a")
        return jsonify(live.compare(a, _name(body, "b"), _gold(body, live.models.limits.tasks)).to_json())

    @app.post("/models/activate")
    def activate() -> Response:
        body = _body()
        gold = None if body.get("gold") is None else _gold(body, live.models.limits.tasks)
        return jsonify(live.activate(_name(body, "name"), gold, force=body.get("force") is True))

    @app.post("/models/rollback")
    def rollback() -> Response:
        return jsonify(live.rollback())


def _body() -> Mapping[str, Any]:
    try:
        # By force, as small clients (`curl -d`) send JSON under another content type.
        body = request.get_json(force=True, silent=True)
    except RecursionError as error:
        raise ApiError(400, "not_json", "the body's brackets are nested too deep") from error
    if not isinstance(body, dict):
        raise ApiError(400, "not_json", "the body must be one JSON object")
    return body


def _name(body: Mapping[str, Any], key: str) -> str:
    name = body.get(key)
    if not isinstance(name, str):
        raise ApiError(400, "bad_request", f'name the model: {{"{key}": …}}')
    return name


def _gold(body: Mapping[str, Any], most: int) -> Gold:
    records = body.get("gold")
    if not isinstance(records, list):
        raise ApiError(400, "bad_gold", "`gold` must be a list of records, as `quorum export` writes them")
    if len(records) > most:
        raise ApiError(413, "too_many_tasks", f"{len(records)} rows of gold, {most} are allowed; give fewer")
    controls = _interface(body.get("label_config"))
    try:
        return Gold(examples=gold_of(records, controls), controls=controls)
    except DataError as error:
        raise ApiError(422, "bad_gold", str(error)) from error


def _tasks(raw: Any, most: int) -> Sequence[Mapping[str, Any] | str]:
    """Return each task's data, or why it cannot be read: one entry a task, in the same order."""
    if not isinstance(raw, list):
        raise ApiError(400, "bad_tasks", "`tasks` must be a list of tasks")
    if len(raw) > most:
        raise ApiError(
            413, "too_many_tasks", f"{len(raw)} tasks in one request, {most} are allowed; send them in parts"
        )
    return [_task_data(task) for task in raw]


def _task_data(task: Any) -> Mapping[str, Any] | str:
    if not isinstance(task, dict):
        return "the task is not an object"
    data = task.get("data")
    # A reason instead of an error: one broken task costs its own answer, not those of the whole request.
    return data if isinstance(data, dict) else "the task has no `data` object"


def _rows(raw: Any, most: int) -> Sequence[Sequence[str]]:
    """Return the texts of each row's columns."""
    if not isinstance(raw, list) or not all(isinstance(texts, list) for texts in raw):
        raise ApiError(400, "bad_rows", "`rows` must be a list of rows, each a list of its columns' texts")
    if any(not isinstance(text, str) for texts in raw for text in texts):
        raise ApiError(400, "bad_rows", "a column of a row must be a text")
    # Half a surrogate pair is JSON and no text: the tokenizer would fail on it.
    if len(raw) > most or any(len(texts) > MOST_COLUMNS for texts in raw):
        raise ApiError(
            413,
            "too_many_rows",
            f"{most} rows of {MOST_COLUMNS} columns are allowed in one request; send them in parts",
        )
    return raw


def _interface(xml: Any) -> tuple[Control, ...]:
    if not isinstance(xml, str) or not xml.strip():
        raise ApiError(400, "no_label_config", "`label_config` must be the XML of the labeling interface")
    try:
        return _parsed(xml) if len(xml) <= KEPT_INTERFACE else parse(xml)
    except InterfaceError as error:
        raise ApiError(422, "bad_label_config", str(error)) from error


# Label Studio sends the same interface with every request: it is read once. Only those of a common size are kept, so
# that nobody fills the memory with long ones.
@lru_cache(maxsize=64)
def _parsed(xml: str) -> tuple[Control, ...]:
    return parse(xml)


def _written(prediction: TaskPrediction, version: str) -> dict[str, Any]:
    return {
        "result": prediction.result,
        "score": prediction.score,
        "model_version": version,
        "reasons": dict(prediction.reasons),
        "domain": prediction.domain,
        "values": dict(prediction.values),
        "scores": dict(prediction.scores),
    }
