from typing import Any

from rest_framework.response import Response

def custom_exception_handler(exc: Exception, context: dict[str, Any]) -> Response: ...
