"""The webhooks of a campaign: what a server is told to announce, to whom, and how ours are known among others.

A webhook only wakes `quorum sync --watch`. What changed is read from the server, so no task text travels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from label_studio_quorum.port import Json, LabelStudio, Webhook

ACTIONS: Final = (
    "ANNOTATION_CREATED",
    "ANNOTATIONS_CREATED",
    "ANNOTATION_UPDATED",
    "ANNOTATIONS_DELETED",
    "TASKS_DELETED",
)
SECRET_HEADER: Final = "X-Quorum-Secret"  # noqa: S105 - the header's name


@dataclass(frozen=True, kw_only=True, slots=True)
class WebhookTarget:
    """Where `quorum sync --watch` listens, and the secret that it asks for."""

    url: str
    secret: str

    def __repr__(self) -> str:
        return f"WebhookTarget({self.url!r})"

    def settings(self, *, active: bool = True) -> Json:
        """The webhook in Label Studio's words."""
        return {
            "url": self.url,
            "headers": {SECRET_HEADER: self.secret},
            "actions": list(ACTIONS),
            "send_payload": False,
            "send_for_all_actions": False,
            "is_active": active,
        }

    def is_announced_by(self, webhook: Webhook) -> bool:
        """True if the server calls this target for everything that it needs to know."""
        secret = webhook.headers.get(SECRET_HEADER)
        return (webhook.url, webhook.active, webhook.actions, secret) == (
            self.url,
            True,
            frozenset(ACTIONS),
            self.secret,
        )


def own_webhook(port: LabelStudio, project: int) -> Webhook | None:
    """The project's webhook that Quorum made; people may have others there, which are left alone."""
    return next((webhook for webhook in port.webhooks(project) if SECRET_HEADER in webhook.headers), None)


def save_webhook(port: LabelStudio, project: int, target: WebhookTarget, *, active: bool = True) -> None:
    """Have the project announce changes to this target, by the webhook that is there or by a new one."""
    own = own_webhook(port, project)
    port.save_webhook(project, target.settings(active=active), webhook=None if own is None else own.id)
