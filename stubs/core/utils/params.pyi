from collections.abc import Mapping
from typing import Any

def bool_from_request(params: Mapping[str, Any], key: str, default: bool) -> bool: ...
