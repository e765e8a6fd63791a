"""The port over HTTP: any Label Studio from 1.20 on, by URL and key, through label-studio-sdk's client.

This is the only module that knows the SDK. The SDK gives sign-in (legacy token or personal access token, refreshed by
itself) and its HTTP client; paths and bodies are written here, because the SDK's typed models cost more time than the
server takes to answer, and refuse answers of servers one release older or newer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from label_studio_quorum.port import (
    Annotation,
    Json,
    KeptFiles,
    MLBackend,
    NewPrediction,
    NewTask,
    Prediction,
    PrefillSources,
    Project,
    Repair,
    ServerError,
    ServerFault,
    Task,
    User,
    View,
    Webhook,
)

if TYPE_CHECKING:
    import httpx

TIMEOUT_S: Final = 300.0
PAGE: Final = 500
# gunicorn takes request lines of 4,094 bytes, other servers and proxies of 8,000: row ids go into shorter ones.
_LONGEST_QUERY: Final = 3000
_READ_RETRIES: Final = 3
_MANY: Final = 50
# What a project list needs to find campaigns; the server counts every task of a project unless told what to send.
_BRIEF: Final = "id,title,description"
_DETAIL: Final = (
    "id,title,description,label_config,expert_instruction,show_instruction,maximum_annotations,model_version,"
    "show_collab_predictions,skip_queue,sampling,show_skip_button,enable_empty_annotation,show_annotation_history,"
    "evaluate_predictions_automatically,overlap_cohort_percentage,reveal_preannotations_interactively,"
    "created_by,control_weights"
)
_MARKER: Final = "quorum:{"


class HttpLabelStudio:
    """A `label_studio_quorum.port.LabelStudio` over HTTP.

    Args:
        url: The server's address, such as `http://127.0.0.1:8080`.
        key: A legacy token or a personal access token. It is sent as a header only, and never shown.

    Raises:
        ServerError: The key is a personal access token that has expired.
    """

    def __init__(self, url: str, key: str) -> None:
        # Only the part of the SDK that talks: the whole takes seconds to import, and every command would wait for it.
        import httpx
        from label_studio_sdk.core.api_error import ApiError
        from label_studio_sdk.core.client_wrapper import SyncClientWrapper

        self.url = url.rstrip("/")
        try:
            client = SyncClientWrapper(
                base_url=self.url,
                api_key=key,
                timeout=TIMEOUT_S,
                httpx_client=httpx.Client(timeout=TIMEOUT_S, follow_redirects=True),
            )
        except ApiError as error:
            hint = "make a new one under Account & Settings"
            raise ServerError("the API key has expired", hint=hint, status=401) from error
        self._http = client.httpx_client
        self._in_bulk: bool | None = None  # whether the server has the plugin's bulk endpoint; not known yet

    def close(self) -> None:
        """Close the connections."""
        self._http.httpx_client.close()

    def __enter__(self) -> HttpLabelStudio:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"HttpLabelStudio({self.url!r})"

    # --- requests -----------------------------------------------------------------------------------------------

    def _ask(self, method: str, path: str, *, params: Mapping[str, Any] | None = None, body: Any = None) -> Any:
        """One request; reads are tried again, writes never are (the first may have happened)."""
        response = self._send(method, path, params, body)
        if response.status_code >= 400:
            raise _refusal(method, path, response)
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError as error:
            hint = "is this the address of a Label Studio server?"
            raise ServerError(f"{self.url}/{path} did not answer with JSON", hint=hint) from error

    def _send(self, method: str, path: str, params: Mapping[str, Any] | None, body: Any) -> httpx.Response:
        import httpx
        from label_studio_sdk.core.api_error import ApiError

        content = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        options = {"max_retries": _READ_RETRIES if method == "GET" else 0}
        try:
            return self._http.request(  # type: ignore[no-any-return]
                path,
                method=method,
                params=dict(params or {}),
                content=content,
                headers={"Content-Type": "application/json"} if content is not None else None,
                request_options=options,
            )
        except httpx.HTTPError as error:
            hint = "is it running, and is the address right?"
            raise ServerError(f"no answer from {self.url} ({type(error).__name__})", hint=hint) from error
        except ApiError as error:
            hint = "make a new key under Account & Settings"
            raise ServerError("the server refused the API key", hint=hint, status=error.status_code) from error

    # --- rows ---------------------------------------------------------------------------------------------------

    def users(self) -> list[User]:
        return [User(id=user["id"], email=user["email"]) for user in self._ask("GET", "api/users/")]

    def tasks(
        self, project: int, *, since: datetime | None = None, row_ids: Sequence[str] | None = None
    ) -> Iterator[Task]:
        if row_ids is None:
            if since is None and self._in_bulk is not False:
                yield from self._bulk(project)
                return
            filters = [] if since is None else [_filter("updated_at", "greater_or_equal", "Datetime", _stamp(since))]
            yield from self._pages(project, filters)
            return
        parts, too_long = _packed(sorted(set(row_ids)))
        for part in parts:
            filters = [_row_filter(row_id) for row_id in part]
            yield from (task for task in self._pages(project, filters, any_of=True) if task.row_id in part)
        # No address holds these ids, so their rows are looked for among all.
        if too_long:
            yield from (task for task in self.tasks(project) if task.row_id in too_long)

    def _bulk(self, project: int) -> Iterator[Task]:
        """All tasks by the plugin's bulk endpoint, which is many times faster; by pages where there is none."""
        lines = self.task_lines(project)
        if lines is None:
            yield from self._pages(project, [])
        else:
            yield from (task_of(line.text) for line in lines)

    def task_lines(self, project: int) -> Iterator[TaskLine] | None:
        """Every task, as the plugin hands them out in bulk; None where it does not.

        `task_of` reads the JSON; until then a task costs next to nothing.
        """
        if self._in_bulk is None:
            self._in_bulk = self.plugin_version() is not None
        if not self._in_bulk:
            return None
        try:
            first = self._bulk_page(project, 0)
        except ServerError as error:
            if error.status not in (403, 404):  # an older plugin, or a project that the key does not manage
                raise
            return None
        return self._lines(project, first)

    def _lines(self, project: int, page: list[str]) -> Iterator[TaskLine]:
        # While one page is taken in, the server makes the next ready.
        with ThreadPoolExecutor(1, "quorum-pages") as reader:
            while page:
                following = reader.submit(self._bulk_page, project, int(page[-1].split("\t", 1)[0]))
                for line in page:
                    pk, row_id, text = line.split("\t", 2)
                    yield TaskLine(int(pk), json.loads(row_id), text)
                page = following.result()

    def _bulk_page(self, project: int, after: int) -> list[str]:
        path = "quorum/api/tasks"
        response = self._send("GET", path, {"project": project, "after": after}, None)
        if response.status_code >= 400:
            raise _refusal("GET", path, response)
        return response.content.decode("utf-8").split("\n")[:-1]

    def _pages(self, project: int, filters: list[Json], *, any_of: bool = False) -> Iterator[Task]:
        return (_task(task) for task in self._raw_pages(project, filters, any_of=any_of))

    def _raw_pages(
        self, project: int, filters: list[Json], *, any_of: bool = False, fields: str = "all"
    ) -> Iterator[Json]:
        """Walk the tasks by id: unlike page numbers, it loses none when others delete tasks meanwhile."""
        last = 0
        while True:
            after = [] if any_of else [_filter("id", "greater", "Number", last)]
            query = {
                "filters": {"conjunction": "or" if any_of else "and", "items": filters + after},
                "ordering": ["tasks:id"],
            }
            params = {
                "project": project,
                "fields": fields,
                "resolve_uri": "false",
                "page_size": PAGE,
                "query": _compact(query),
            }
            tasks = self._ask("GET", "api/tasks", params=params)["tasks"]
            yield from tasks
            # Alternatives cannot be continued by id, and a page that is not full is the last one.
            if any_of or len(tasks) < PAGE:
                return
            last = tasks[-1]["id"]

    def add_tasks(self, project: int, tasks: Sequence[NewTask]) -> None:
        body = [
            {
                "data": task.data,
                "meta": task.meta,
                "predictions": [_prediction_body(prediction) for prediction in task.predictions],
            }
            for task in tasks
        ]
        answer = self._ask("POST", f"api/projects/{project}/import", body=body)
        if "import" in answer:  # Enterprise and Cloud import in the background.
            self._await_import(project, answer["import"])

    def _await_import(self, project: int, number: int) -> None:
        import stamina

        @stamina.retry(on=_NotYet, attempts=None, timeout=TIMEOUT_S, wait_initial=0.2, wait_max=3.0)
        def done() -> str:
            status = str(self._ask("GET", f"api/projects/{project}/imports/{number}")["status"])
            if status not in ("completed", "failed"):
                raise _NotYet(status)
            return status

        if done() == "failed":
            raise ServerError(f"the server's import {number} failed", hint="see its log, then import again")

    def add_predictions(self, project: int, predictions: Sequence[tuple[int, NewPrediction]]) -> None:
        body = [{"task": task, **_prediction_body(prediction)} for task, prediction in predictions]
        self._ask("POST", f"api/projects/{project}/import/predictions", body=body)

    def set_queue(self, task: int, *, overlap: int, is_labeled: bool) -> None:
        self._ask("PATCH", f"api/tasks/{task}/", body={"overlap": overlap, "is_labeled": is_labeled})

    def withdraw(self, project: int, tasks: Sequence[int]) -> int:
        # One by one a task that is answered meanwhile is seen; many are taken in one request, after one look.
        if len(tasks) > _MANY:
            return self._withdraw_many(project, set(tasks))
        gone = 0
        for task in tasks:
            try:
                if self._ask("GET", f"api/tasks/{task}/annotations/"):
                    continue
                self._ask("DELETE", f"api/tasks/{task}/")
            except ServerError as error:
                if error.status != 404:  # Somebody else withdrew it.
                    raise
            else:
                gone += 1
        return gone

    def _withdraw_many(self, project: int, tasks: set[int]) -> int:
        if self.plugin_version() is not None:
            return self._withdraw_by_plugin(project, sorted(tasks))
        untouched = [task.id for task in self.tasks(project) if task.id in tasks and not task.submitted]
        for start in range(0, len(untouched), PAGE):
            part = {"all": False, "included": untouched[start : start + PAGE]}
            self._ask(
                "POST",
                "api/dm/actions",
                params={"id": "delete_tasks", "project": project},
                body={"selectedItems": part},
            )
        return len(untouched)

    def _withdraw_by_plugin(self, project: int, tasks: list[int]) -> int:
        """Many at a time, each looked at by the server; Label Studio's own action would take them out of a campaign."""
        gone = 0
        for start in range(0, len(tasks), PAGE):
            body = {"project": project, "tasks": tasks[start : start + PAGE]}
            gone += int(self._ask("POST", "quorum/api/withdraw", body=body)["withdrawn"])
        return gone

    # --- campaigns ----------------------------------------------------------------------------------------------

    def version(self) -> str:
        answer = self._ask("GET", "api/version")
        package = answer.get("label-studio-os-package") or {}
        return str(answer.get("release") or package.get("version") or "unknown")

    def notes(self, project: int) -> Iterator[tuple[str, Json]]:
        for task in self._raw_pages(project, [], fields="task_only"):
            yield str(task["data"].get("row_id", "")), task.get("meta") or {}

    def projects(self) -> list[Project]:
        projects, page = [], 1
        while True:
            params = {"page": page, "page_size": 100, "include": _BRIEF}
            answer = self._ask("GET", "api/projects/", params=params)
            projects.extend(answer["results"])
            if not answer.get("next"):
                break
            page += 1
        return [
            self.project(each["id"]) if _MARKER in (each.get("description") or "") else _project(each)
            for each in projects
        ]

    def project(self, project: int) -> Project:
        return _project(self._ask("GET", f"api/projects/{project}/", params={"include": _DETAIL}))

    def create_project(self, settings: Mapping[str, Any]) -> Project:
        made = self._ask("POST", "api/projects/", body=dict(settings))
        return self.project(made["id"])

    def change_project(self, project: int, settings: Mapping[str, Any]) -> Project:
        self._ask("PATCH", f"api/projects/{project}/", body=dict(settings))
        return self.project(project)

    def delete_project(self, project: int) -> None:
        self._ask("DELETE", f"api/projects/{project}/")

    def views(self, project: int) -> list[View]:
        views = self._ask("GET", "api/dm/views/", params={"project": project})
        return [View(id=view["id"], title=str(view["data"].get("title", "")), data=view["data"]) for view in views]

    def save_view(self, project: int, data: Json, *, view: int | None = None) -> None:
        if view is None:
            self._ask("POST", "api/dm/views/", body={"project": project, "data": data})
        else:
            self._ask("PATCH", f"api/dm/views/{view}/", body={"project": project, "data": data})

    def delete_view(self, view: int) -> None:
        try:
            self._ask("DELETE", f"api/dm/views/{view}/")
        except ServerError as error:
            if error.status != 404:
                raise

    def webhooks(self, project: int) -> list[Webhook]:
        webhooks = self._ask("GET", "api/webhooks/", params={"project": project})
        return [
            Webhook(
                id=webhook["id"],
                url=webhook["url"],
                actions=frozenset(webhook.get("actions") or ()),
                active=bool(webhook["is_active"]),
                headers=webhook.get("headers") or {},
            )
            for webhook in webhooks
            if webhook.get("project") == project
        ]

    def save_webhook(self, project: int, settings: Mapping[str, Any], *, webhook: int | None = None) -> None:
        body = {"project": project, **settings}
        if webhook is None:
            self._ask("POST", "api/webhooks/", body=body)
        else:
            self._ask("PATCH", f"api/webhooks/{webhook}/", body=body)

    def ml_backends(self, project: int) -> list[MLBackend]:
        backends = self._ask("GET", "api/ml/", params={"project": project})
        return [
            MLBackend(
                id=backend["id"],
                url=backend["url"],
                title=backend.get("title") or "",
                state=backend.get("readable_state") or "",
            )
            for backend in backends
        ]

    def save_ml_backend(self, project: int, settings: Mapping[str, Any], *, backend: int | None = None) -> None:
        body = {"project": project, **settings}
        if backend is None:
            self._ask("POST", "api/ml/", body=body)
        else:
            self._ask("PATCH", f"api/ml/{backend}", body=body)

    def prefill_sources(self, project: int) -> PrefillSources:
        params = {"extended": "true", "include_live_models": "true"}
        answer = self._ask("GET", f"api/projects/{project}/model-versions/", params=params)
        return PrefillSources(
            stored=frozenset(version["model_version"] or "" for version in answer["static"]),
            backends=frozenset(backend.get("title") or "" for backend in answer["live"] or ()),
        )

    def invite_link(self) -> str:
        return self.url + str(self._ask("GET", "api/invite")["invite_url"])

    # --- the plugin ---------------------------------------------------------------------------------------------

    def plugin_version(self) -> str | None:
        """The version of Quorum's plugin in the server; None on a stock server."""
        try:
            answer = self._ask("GET", "quorum/api/version")
        except ServerError as error:
            if error.status is None:
                if self._answers():
                    return None
                raise
            if error.status == 404:
                return None
            raise
        return str(answer["quorum"]) if isinstance(answer, dict) and answer.get("plugin") else None

    def plugin_campaign(self, name: str) -> Json | None:
        """A campaign as the plugin knows it; None where there is no plugin, or it knows none of that name."""
        if self.plugin_version() is None:
            return None
        campaigns: list[Json] = self._ask("GET", "quorum/api/campaign", params={"name": name})["campaigns"]
        return next((campaign for campaign in campaigns if campaign["name"] == name), None)

    def links(self, campaign: str) -> dict[int, str] | None:
        known = self.plugin_campaign(campaign)
        # A plugin of an earlier version does not say which accounts it has linked.
        if known is None or not all("user" in person for person in known["people"]):
            return None
        return {person["user"]: str(person["id"]) for person in known["people"] if person["user"] is not None}

    def plugin_clock_lag(self) -> float:
        """Seconds by which the server's clock lies behind its own audit log; 0 for one that runs as it should."""
        answer = self._ask("GET", "quorum/api/version")
        return float(answer.get("clock_lag_s", 0))

    def server_time(self) -> datetime | None:
        """The server's clock, to the second, as its answers carry it; None where they carry none."""
        stated = self._send("GET", "api/version", None, None).headers.get("Date")
        return None if stated is None else parsedate_to_datetime(stated)

    def plugin_audit(self, name: str | None, head: str | None) -> Json:
        """What the plugin's record proves about a campaign; `head` is its end as an earlier audit printed it."""
        params = {key: value for key, value in (("name", name), ("head", head)) if value}
        answer: Json = self._ask("GET", "quorum/api/audit", params=params)
        return answer

    def plugin_status(self, name: str | None) -> Json | None:
        """The figures of the manager's page; None on a stock server, or where the plugin knows no such campaign."""
        return self._of_plugin("GET", "quorum/api/status", name)

    def plugin_threads(
        self,
        name: str | None,
        *,
        row_id: str = "",
        paragraph: str = "",
        only_open: bool = False,
        after: str = "",
        size: int | None = None,
    ) -> Json:
        """A page of threads as a campaign's manager reads them: one row's or paragraph's, those that wait, or all."""
        params = {"name": name, "row_id": row_id, "paragraph": paragraph, "open": "1" if only_open else ""}
        params |= {"after": after, "size": str(size) if size else ""}
        named = {key: text for key, text in params.items() if text}
        answer: Json = self._ask("GET", "quorum/api/threads", params=named)
        return answer

    def plugin_flags(self, name: str | None, *, flag: str = "", after: str = "") -> Json:
        """The rows of a campaign that people flagged, by flag; of one flag also a later page."""
        params = {key: text for key, text in (("flag", flag), ("after", after)) if text}
        answer: Json = self._ask("GET", "quorum/api/flags", params=_named(name) | params)
        return answer

    def guideline_versions(self, campaign: str) -> tuple[Json, ...]:
        """The versions of a campaign's guidelines, oldest first; none where the server keeps none."""
        if self.plugin_version() is None:
            return ()
        try:
            listed = self.plugin_guidelines(campaign)["versions"]
        except ServerError as error:
            if error.status != _NOT_FOUND:
                raise
            return ()  # a plugin that is older than this command, or does not know the campaign
        return tuple({key: version[key] for key in ("number", "hash", "at")} for version in listed)

    def plugin_guidelines(self, name: str | None, *, number: int | None = None, since: int | None = None) -> Json:
        """The versions of a campaign's guidelines; with a number also that one's text and how it differs."""
        params = _named(name) | {key: each for key, each in (("number", number), ("since", since)) if each is not None}
        answer: Json = self._ask("GET", "quorum/api/guidelines", params=params)
        return answer

    def publish_guidelines(self, name: str | None, publication: Mapping[str, Any]) -> Json:
        """Publish a text as the next version of a campaign's guidelines, or say what that would do."""
        answer: Json = self._ask("POST", "quorum/api/guidelines", body=_named(name) | dict(publication))
        return answer

    def plugin_precedents(self, name: str | None, row_id: str) -> Json:
        """The decided rows of a campaign that are most like a row."""
        answer: Json = self._ask("GET", "quorum/api/precedents/row", params=_named(name) | {"row_id": row_id})
        return answer

    def plugin_outbox(self, name: str | None, *, state: str = "") -> Json:
        """The notifications of a campaign that left the server or wait to."""
        answer: Json = self._ask("GET", "quorum/api/outbox", params=_named(name) | ({"state": state} if state else {}))
        return answer

    def act_on_outbox(self, name: str | None, act: str) -> Json:
        """Have the server send notifications: what is due (`send`), or a test to whoever asks (`test`)."""
        answer: Json = self._ask("POST", "quorum/api/outbox", body=_named(name) | {"act": act})
        return answer

    def say_in_thread(self, name: str | None, message: Mapping[str, Any]) -> Json:
        """Say something in a thread, as the plugin's API takes it."""
        answer: Json = self._ask("POST", "quorum/api/threads", body=_named(name) | dict(message))
        return answer

    def reopen_row(self, name: str | None, row_id: str, reason: str) -> Json:
        """Open a row again, with a reason."""
        answer: Json = self._ask("POST", "quorum/api/reopen", body=_named(name) | {"row_id": row_id, "reason": reason})
        return answer

    def give_password(self, name: str | None, person: str) -> Json:
        """A new password for somebody of a campaign, good until they have signed in and chosen their own."""
        answer: Json = self._ask("POST", "quorum/api/password", body=_named(name) | {"person": person})
        return answer

    def kept_files(self, campaign: str) -> KeptFiles | None:
        if self.plugin_version() is None:
            return None
        answer = self._ask("GET", "quorum/api/campaign", params={"name": campaign})
        kept = [entry for entry in answer["campaigns"] if entry["name"] == campaign]
        # Projects that were set up before the server had the plugin are known to it only after the next set-up.
        if not kept:
            return None
        if "files" not in kept[0]:
            hint = "update the server to the version of this command"
            raise ServerError("the server's plugin does not say which policy and team it goes by", hint=hint)
        return KeptFiles(**kept[0]["files"])

    def server_faults(self, campaign: str | None) -> list[ServerFault]:
        """What the plugin finds wrong with a campaign in its database; nothing where it does not know the campaign."""
        answer = self._of_plugin("GET", "quorum/api/checkup", campaign)
        return [] if answer is None else _faults(answer["faults"])

    def mend_server(self, campaign: str | None) -> Repair:
        """Have the plugin set right what it can; nothing is done where it does not know the campaign.

        What it mended is what was wrong before and is no more: a request that had to be sent twice tells it as well.
        """
        before = self.server_faults(campaign)
        answer = self._of_plugin("POST", "quorum/api/repair", campaign)
        if answer is None:
            return Repair()
        left = tuple(_faults(answer.get("faults", [])))
        wrong = {fault.about for fault in left if fault.mends}
        return Repair(mended=tuple(fault for fault in before if fault.mends and fault.about not in wrong), left=left)

    def _of_plugin(self, method: str, path: str, campaign: str | None) -> Json | None:
        if self.plugin_version() is None:
            return None
        named = _named(campaign)
        try:
            answer: Json = self._ask(method, path, **({"params": named} if method == "GET" else {"body": named}))
        except ServerError as error:
            if error.status != _NOT_FOUND:
                raise
            return None  # a campaign that is new to the plugin, or a plugin that is older than this command
        return answer

    def _answers(self) -> bool:
        """True if the server speaks at all: a stock one answers unknown paths with a page, not with JSON."""
        return bool(self.version())

    def plan_pages(
        self, name: str, *, policy: str | None = None, team: str | None = None, interface: str | None = None
    ) -> Iterator[Json]:
        """What the plugin says that a change does, some rows at a time; None for what stays as it is."""
        texts = {"policy": policy, "team": team, "interface": interface}
        body: Json = {"name": name} | {key: text for key, text in texts.items() if text is not None}
        after: int | None = 0
        while after is not None:
            try:
                page: Json = self._ask("POST", "quorum/api/plan", body=body | {"after": after})
            except ServerError as error:
                if error.status != 404:
                    raise
                hint = "update the server to the version of this command"
                raise ServerError("the server's plugin does not say what a change costs", hint=hint) from error
            yield page
            after = page["next"]

    def tell_plugin(
        self,
        name: str,
        *,
        task: str,
        policy: str,
        team: str,
        guidelines: str,
        projects: Mapping[str, int],
        qualification: Json,
        practice: Json,
        interface: str | None = None,
    ) -> Json:
        """Give the plugin a campaign's files: from then on the server itself refuses what they forbid.

        Whoever calls has told what that costs, where the campaign was there already, and been told to do it.
        """
        body = {"name": name, "task": task, "policy": policy, "team": team, "projects": dict(projects), "yes": True}
        body |= {"guidelines": guidelines, "qualification": qualification, "practice": practice}
        body |= {} if interface is None else {"interface": interface}
        answer: Json = self._ask("PUT", "quorum/api/campaign", body=body)
        return answer

    def settle(self, name: str, progress: Callable[[int], None] = lambda done: None) -> None:
        """Have the plugin reconcile the rows that a change has marked, some at a time, and say how many are done."""
        settled = 0
        while done := int(self._ask("POST", "quorum/api/repair", body={"name": name, "limit": PAGE})["reconciled"]):
            settled += done
            progress(settled)

    def lock_campaign(self, name: str, *, token: str, doing: str, seconds: int) -> Json | None:
        """Take a campaign's lock for so many seconds, or let it go for none; None on a server without such locks."""
        if self.plugin_version() is None:
            return None
        body = {"name": name, "token": token, "doing": doing, "seconds": seconds}
        try:
            answer: Json = self._ask("POST", "quorum/api/lock", body=body)
        except ServerError as error:
            if error.status == 404:  # an older plugin
                return None
            raise
        return answer

    def apply_team(self, name: str, team: str, *, dry_run: bool = False) -> Json:
        """Let the plugin make accounts and roles those of a team file; new one-time passwords are in the answer.

        Whoever calls has told what that costs and been told to do it.
        """
        body = {"name": name, "team": team, "dry_run": dry_run, "yes": True}
        answer: Json = self._ask("POST", "quorum/api/team", body=body)
        return answer


class _NotYet(Exception):
    """A background import that is still running."""


def _named(campaign: str | None) -> Json:
    return {} if campaign is None else {"name": campaign}


def _faults(faults: Iterable[Json]) -> list[ServerFault]:
    return [ServerFault(**fault) for fault in faults]


def _filter(column: str, operator: str, kind: str, value: Any) -> Json:
    return {"filter": f"filter:tasks:{column}", "operator": operator, "type": kind, "value": value}


def _row_filter(row_id: str) -> Json:
    return _filter("data.row_id", "equal", "String", row_id)


def _packed(row_ids: Iterable[str]) -> tuple[list[list[str]], frozenset[str]]:
    """Row ids in parts whose filters fit into one address each, and those that fit into none."""
    parts, too_long, left = list[list[str]](), set[str](), 0
    for row_id in row_ids:
        # The comma between two filters is three bytes of an address.
        length = len(quote(_compact(_row_filter(row_id)), safe="")) + 3
        if length > _LONGEST_QUERY:
            too_long.add(row_id)
            continue
        if length > left:
            parts.append([])
            left = _LONGEST_QUERY
        parts[-1].append(row_id)
        left -= length
    return parts, frozenset(too_long)


def _compact(value: Json) -> str:
    """JSON without spaces, which are three bytes each in an address."""
    return json.dumps(value, separators=(",", ":"))


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _person(value: Any) -> int | None:
    """A user id, whether the server sends the id alone or the expanded account."""
    if isinstance(value, Mapping):
        value = value.get("id")
    return value if isinstance(value, int) else None


# The task's own time comes first: the plugin writes what is only numbers and times before anything that people wrote.
_UPDATED = re.compile(r'"updated_at":"([^"]+)"')


@dataclass(frozen=True, slots=True)
class TaskLine:
    """A task as the plugin's bulk endpoint gives it: its id, its row id, and its JSON, which `task_of` reads."""

    id: int
    row_id: str
    text: str

    @property
    def updated_at(self) -> datetime:
        """When the task was last changed, without reading the JSON."""
        match = _UPDATED.search(self.text)
        if match is None:
            raise ServerError(f"task {self.id}: the plugin gave it without the time of its last change")
        return _moment(match.group(1))


def task_of(text: str) -> Task:
    """A task from the JSON that `HttpLabelStudio.task_lines` gives."""
    return _task(json.loads(text))


def _task(task: Json) -> Task:
    return Task(
        id=task["id"],
        project=task["project"],
        data=task["data"],
        meta=task.get("meta") or {},
        overlap=task["overlap"],
        is_labeled=bool(task["is_labeled"]),
        created_at=_moment(task["created_at"]),
        updated_at=_moment(task["updated_at"]),
        annotations=tuple(sorted((_annotation(a) for a in task.get("annotations") or ()), key=lambda a: a.id)),
        predictions=tuple(sorted((_prediction(p) for p in task.get("predictions") or ()), key=lambda p: p.id)),
    )


def _annotation(annotation: Json) -> Annotation:
    return Annotation(
        id=annotation["id"],
        by=_person(annotation.get("completed_by")),
        edited_by=_person(annotation.get("updated_by")),
        created_at=_moment(annotation["created_at"]),
        updated_at=_moment(annotation["updated_at"]),
        lead_time=annotation.get("lead_time"),
        cancelled=bool(annotation.get("was_cancelled")),
        result=annotation.get("result") or [],
        parent_prediction=annotation.get("parent_prediction"),
        shown=annotation.get("shown"),
        guidelines=annotation.get("guidelines"),
    )


def _prediction(prediction: Json) -> Prediction:
    return Prediction(
        id=prediction["id"],
        model_version=prediction.get("model_version") or "",
        result=prediction.get("result") or [],
        score=prediction.get("score"),
    )


def _prediction_body(prediction: NewPrediction) -> Json:
    return {"model_version": prediction.model_version, "result": prediction.result, "score": prediction.score}


def _project(project: Json) -> Project:
    return Project(
        id=project["id"],
        title=project.get("title") or "",
        description=project.get("description") or "",
        label_config=project.get("label_config") or "",
        settings=project,
    )


_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_HINTS: Final = {
    401: "the API key is wrong, expired, or of a kind that this server has switched off",
    403: "this account may not do that; use a manager's key",
    404: "it is not there, or this account may not see it",
    413: "the request is too large for the server or its proxy",
}
_ADDRESS: Final = "the key is good, but the server may not reach that address; give another, or have its owner allow it"
# Label Studio quotes the offending task after " :: ", and its value after "]=": never repeat either.
_QUOTES: Final = re.compile(r" :: .*|(?<=\])=.*?(?= is of type )", re.DOTALL)
_MOST: Final = 300


def _refusal(method: str, path: str, response: httpx.Response) -> ServerError:
    where = f"{method} {path.split('?')[0]} → {response.status_code}"
    reason = _said(response)
    # The server answers an address that it may not reach with the status of a missing right.
    about_address = response.status_code == _FORBIDDEN and "URL" in reason
    return ServerError(
        f"{where}: {reason}" if reason else where,
        hint=_ADDRESS if about_address else _HINTS.get(response.status_code, ""),
        status=response.status_code,
    )


def _said(response: httpx.Response) -> str:
    """What the server gave as the reason, without what it quotes of tasks."""
    try:
        body = response.json()
    except ValueError:
        return ""
    parts: list[str] = []
    _collect(body.get("validation_errors") or body.get("detail") or "" if isinstance(body, dict) else body, parts)
    return " ".join(_QUOTES.sub("", part) for part in parts)[:_MOST].replace("\n", " ")


def _collect(value: Any, parts: list[str]) -> None:
    if isinstance(value, str):
        parts.append(value)
    elif isinstance(value, Mapping):
        for part in value.values():
            _collect(part, parts)
    elif isinstance(value, Sequence):
        for part in value:
            _collect(part, parts)
