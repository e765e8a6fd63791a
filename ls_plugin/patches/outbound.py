"""What Label Studio sends out by itself: to model servers and target storages.

Model servers are told the rows, not what people said of them, nor anybody else's token. Target storages get an answer
when it stands: Label Studio sends it while it is being saved, so that a storage that is down would keep everybody from
answering, and one that is up would get answers that are then refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from core.current_request import CurrentContext
from django.db.models.signals import post_save
from rest_framework.authtoken.models import Token
from tasks.models import Annotation

from ls_plugin.patches.registry import detach, replace
from ls_plugin.people.standings import place_of
from ls_plugin.store.retries import when_committed

# What a model is asked about; Label Studio sends every answer and draft of a task along with it.
_TASK = ("id", "data", "meta", "project", "inner_id", "created_at", "updated_at", "overlap", "file_upload")

_TO_STORAGES = (
    "io_storages.azure_blob.models.export_annotation_to_azure_storages",
    "io_storages.gcs.models.export_annotation_to_gcs_storages",
    "io_storages.localfiles.models.export_annotation_to_local_files",
    "io_storages.redis.models.export_annotation_to_redis_storages",
    "io_storages.s3.models.export_annotation_to_s3_storages",
)


def install() -> None:
    """Stand between Label Studio and model servers, and between it and target storages."""
    replace("ml.api_connector.MLApi._request", _request)
    replace("ml.api_connector.MLApi._prep_prediction_req", _prep_prediction_req)
    senders = [detach(name, post_save, Annotation) for name in _TO_STORAGES]
    post_save.connect(_when_it_stands(senders), sender=Annotation, weak=False, dispatch_uid="quorum storages")


def _when_it_stands(senders: Sequence[Callable[..., None]]) -> Callable[..., None]:
    def send_later(sender: Any, instance: Any, **kwargs: Any) -> None:
        is_campaign = place_of(instance.project_id) is not None
        for send in senders:
            if is_campaign:
                when_committed(send, sender, instance, **kwargs)
            else:
                send(sender, instance, **kwargs)

    return send_later


def _prep_prediction_req(stock: Callable[..., Any]) -> Callable[..., Any]:
    def prep(self: Any, tasks: Iterable[Mapping[str, Any]], project: Any, context: Any = None) -> Any:
        # A prediction that follows from a peer's answer would show that answer to whoever comes next.
        if place_of(project.pk) is not None:
            tasks = [{key: task[key] for key in _TASK if key in task} for task in tasks]
        return stock(self, tasks, project, context=context)

    return prep


def _request(stock: Callable[..., Any]) -> Callable[..., Any]:
    def send(self: Any, url_suffix: str, request: Any = None, *args: Any, **kwargs: Any) -> Any:
        token = request.get("access_token") if isinstance(request, dict) else None
        if token and not _is_own(CurrentContext.get_user(), token):
            # Label Studio hands the token of whoever made the project to whatever server a manager names.
            request = {**request, "access_token": ""}
        return stock(self, url_suffix, request, *args, **kwargs)

    return send


def _is_own(user: Any, token: str) -> bool:
    """Whether a legacy token belongs to the account that is at work."""
    return bool(user is not None and Token.objects.filter(user_id=user.pk, key=token).exists())
