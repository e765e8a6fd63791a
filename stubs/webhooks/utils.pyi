from typing import Any

from webhooks.models import Webhook

def run_webhook_sync(webhook: Webhook, action: str, payload: dict[str, Any] | None = ...) -> Any: ...
