from collections.abc import Callable
from typing import Any

def start_job_async_or_sync(job: Callable[..., object], *args: Any, in_seconds: int = 0, **kwargs: Any) -> Any: ...
