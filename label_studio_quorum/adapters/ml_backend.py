"""Pre-annotations from an ML backend, by Label Studio's own protocol: `POST /predict`, one result a task in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx
import stamina

from label_studio_quorum.port import Json, MLConnection, NewPrediction
from ls_config.interface import Control, Interface
from ls_config.results import ResultError, from_result, to_result
from review_rules.errors import PublicError

BATCH: Final = 64
_TIMEOUT_S: Final = 600.0
_REGIONS: Final = frozenset({"spans", "boxes", "segments"})
_UNKNOWN: Final = frozenset({401, 403})
_BUSY: Final = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelAnswer:
    """What an ML backend says of a row.

    Attributes:
        prediction: The pre-annotation, without what does not fit the interface; None where nothing is left.
        domain: The domain that its router sees; None where it has no say.
        problems: What did not fit and was left out, a line each.
    """

    prediction: NewPrediction | None = None
    domain: str | None = None
    problems: tuple[str, ...] = ()


class PrelabelError(PublicError):
    """The ML backend did not answer as its protocol says."""


class _Busy(PrelabelError):
    """Worth another try."""


class MLBackendClient:
    """Asks an ML backend for pre-annotations.

    Args:
        connection: Address and, where the backend asks for it, user and password.
        interface: The label interface to predict for.
        project: The project's id, which backends use to keep interfaces apart.
    """

    def __init__(self, connection: MLConnection, interface: Interface, project: int) -> None:
        auth = (connection.user, connection.password or "") if connection.user is not None else None
        self._http = httpx.Client(base_url=connection.url.rstrip("/"), auth=auth, timeout=_TIMEOUT_S, trust_env=False)
        self._url, self._interface, self._project = connection.url, interface, project

    def __enter__(self) -> MLBackendClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def predict(self, data: Sequence[Json]) -> list[ModelAnswer]:
        """One answer for each task's data, in order.

        Raises:
            PrelabelError: No answer, a refusal, or another number of results than tasks.
        """
        prelabels: list[ModelAnswer] = []
        for start in range(0, len(data), BATCH):
            batch = data[start : start + BATCH]
            results = self._ask([{"id": start + index, "data": task_data} for index, task_data in enumerate(batch)])
            prelabels += [self._answer(result, task_data) for result, task_data in zip(results, batch, strict=True)]
        return prelabels

    def _ask(self, tasks: list[Json]) -> list[Json]:
        body = {"tasks": tasks, "project": str(self._project), "label_config": self._interface.xml, "params": {}}
        for attempt in stamina.retry_context(on=_Busy, attempts=5, timeout=120):
            with attempt:
                return self._once(body, len(tasks))
        raise AssertionError("the retry context either returns or raises")

    def _once(self, body: Json, expected: int) -> list[Json]:
        try:
            response = self._http.post("/predict", json=body)
        except httpx.TransportError as error:
            raise _Busy(f"no answer from the ML backend at {self._url} ({type(error).__name__})") from error
        if response.status_code in _BUSY:
            raise _Busy(f"the ML backend at {self._url} is busy (HTTP {response.status_code})")
        if response.status_code != httpx.codes.OK:
            cure = "; set QUORUM_ML_USER and QUORUM_ML_PASSWORD" if response.status_code in _UNKNOWN else ""
            raise PrelabelError(f"the ML backend at {self._url} refused: HTTP {response.status_code}{cure}")
        try:
            results = response.json()["results"]
        except (ValueError, KeyError, TypeError) as error:
            raise PrelabelError(f"the ML backend at {self._url} did not answer with results") from error
        if not isinstance(results, list) or len(results) != expected:
            raise PrelabelError(f"the ML backend at {self._url} sent another number of results than it was sent tasks")
        return results

    def _answer(self, answer: Any, data: Json) -> ModelAnswer:
        """The answer as a prediction, without what the interface does not know: Label Studio would refuse the whole
        import for one label that the interface does not have."""
        domain = _domain(answer)
        if not isinstance(answer, dict):
            return ModelAnswer(problems=("the answer is no object",))
        result, controls = answer.get("result"), self._interface.controls
        # A model without a say about a row sends an empty result.
        if not result:
            return ModelAnswer(domain=domain)
        parsed = from_result(result, controls, data)
        if parsed.problems:
            result = _fitting(parsed.values, controls, data)
        if not result:
            return ModelAnswer(domain=domain, problems=parsed.problems)
        score = answer.get("score")
        prediction = NewPrediction(
            model_version=str(answer.get("model_version") or "unknown"),
            result=result,
            score=float(score) if isinstance(score, int | float) else None,
        )
        return ModelAnswer(prediction=prediction, domain=domain, problems=parsed.problems)


def _fitting(values: Mapping[str, Any], controls: Sequence[Control], data: Json) -> list[Json]:
    """The values that can be written as a result; a set of regions without those that cannot."""
    result: list[Json] = []
    for control in controls:
        value = values.get(control.name)
        parts = [[part] for part in value] if control.kind in _REGIONS and isinstance(value, list) else [value]
        for part in parts:
            try:
                result += to_result({control.name: part}, controls, data)
            except ResultError:
                continue  # one of the problems says so
    return result


def _domain(answer: Any) -> str | None:
    """The router's word; other backends have none, and ours says `unsure` rather than guess."""
    routed = answer.get("domain") if isinstance(answer, dict) else None
    value = routed.get("value") if isinstance(routed, dict) else None
    return value if isinstance(value, str) and value not in ("", "unsure") else None
