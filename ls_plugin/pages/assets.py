"""Style sheets, a script, and what Label Studio's screens ask for that a server with Quorum does not give."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Final

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils.cache import get_conditional_response

from ls_plugin.version import TESTED

_ANY_VERSION: Final = ("seam", "refusals")
"""The parts of the screen that do nothing where they find another screen."""
_KNOWN_VERSION: Final[tuple[str, ...]] = (
    "keeping",
    "returned",
    "review_model",
    "review_store",
    "review_spans",
    "guide",
    "review_form",
    "review_draw",
    "review",
    "reading",
    "layout",
    "form",
    "help",
    "checks",
    "companion",
)
"""The parts that rest on the screen of a Label Studio that they were tested with; left out with another.

Of two parts that want a key the first has it: the screen of what differs comes before what works on the form beneath.
"""
_SCREEN: Final = Path(str(files("ls_plugin").joinpath("screen")))
_TYPES: Final = {
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "woff2": "font/woff2",
}


def style(request: HttpRequest) -> HttpResponse:
    """A style sheet: that of these pages, or the one that hides from people what Label Studio would refuse them."""
    name = "people.css" if request.path.endswith("people.css") else "style.css"
    text = files("ls_plugin").joinpath("templates", "quorum", name).read_text(encoding="utf-8")
    return HttpResponse(text, content_type="text/css")


@dataclass(frozen=True, slots=True)
class _Text:
    """What a browser takes, and the hash by which it knows it again."""

    content: bytes
    tag: str


def screen(request: HttpRequest) -> HttpResponse:
    """What Quorum adds to Label Studio's labelling screen, as one script or one style sheet."""
    kind = "css" if request.path.endswith(".css") else "js"
    parts = (*_ANY_VERSION, *(_KNOWN_VERSION if _label_studio() in TESTED else ()))
    return _asset(request, [_SCREEN / f"{name}.{kind}" for name in parts], _TYPES[kind])


def screen_file(request: HttpRequest, name: str) -> HttpResponse:
    """One further file that the script takes when it needs it; only those that are there have an address."""
    folder = _SCREEN / "files"
    known = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.suffix[1:] in _TYPES}
    if name not in known:
        raise Http404
    return _asset(request, [known[name]], _TYPES[known[name].suffix[1:]])


@cache
def _label_studio() -> str:
    return version("label-studio")


@lru_cache(maxsize=64)
def _put_together(parts: tuple[tuple[Path, int], ...]) -> _Text:
    """The text of these files at these times of change."""
    content = b"".join(part.read_bytes() for part, _ in parts)
    return _Text(content, hashlib.sha256(content).hexdigest())


def _asset(request: HttpRequest, parts: Sequence[Path], content_type: str) -> HttpResponse:
    """These files as one text, read and hashed once; a change of a file is seen at the next request."""
    text = _put_together(tuple((part, part.stat().st_mtime_ns) for part in parts if part.is_file()))
    response = HttpResponse(text.content, content_type=content_type)
    response["Cache-Control"] = "no-cache"  # asked again each time, and sent again only where it is another
    response["ETag"] = f'"{text.tag}"'
    return get_conditional_response(request, response["ETag"], response=response) or response


def no_tips(request: HttpRequest) -> HttpResponse:
    """Label Studio's login page asks for tips, which its server would fetch from outside: there are none."""
    return JsonResponse([], safe=False)


def no_telemetry(request: HttpRequest) -> HttpResponse:
    """Where Label Studio's screens send usage data: nothing is kept or passed on."""
    return HttpResponse(status=204)
