"""Label Studio as gunicorn serves it, warm: a worker that takes its first request has everything loaded.

Django finds its views at the first request. Of several first requests at once, each in a thread of its own, some would
meet modules that another one has only half imported, and answer with a fault.
"""

from __future__ import annotations

from typing import Any
from wsgiref.util import setup_testing_defaults

from django.urls import get_resolver
from label_studio.core.wsgi import application

__all__ = ["application"]


def _warm_up() -> None:
    """Import what every address leads to, and make a page; a database that is away does not matter here."""
    # Django's name for finding all addresses; it imports every view.
    get_resolver().reverse_dict.keys()
    for path in ("/health/", "/user/login/"):
        environ: dict[str, Any] = {"PATH_INFO": path, "HTTP_HOST": "localhost"}
        setup_testing_defaults(environ)
        response = application(environ, lambda status, headers, exc_info=None: None)
        list(response)
        response.close()


_warm_up()
