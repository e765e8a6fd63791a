"""Style sheets, a script, and what Label Studio's screens ask for that a server with Quorum does not give."""

from __future__ import annotations

from importlib.resources import files

from django.http import HttpRequest, HttpResponse, JsonResponse


def style(request: HttpRequest) -> HttpResponse:
    """A style sheet: that of these pages, or the one that hides from people what Label Studio would refuse them."""
    name = "people.css" if request.path.endswith("people.css") else "style.css"
    text = files("ls_plugin").joinpath("templates", "quorum", name).read_text(encoding="utf-8")
    return HttpResponse(text, content_type="text/css")


def script(request: HttpRequest) -> HttpResponse:
    """The script that puts the server's sentences where Label Studio's screen has one of its own."""
    text = files("ls_plugin").joinpath("templates", "quorum", "screen.js").read_text(encoding="utf-8")
    return HttpResponse(text, content_type="text/javascript; charset=utf-8")


def no_tips(request: HttpRequest) -> HttpResponse:
    """Label Studio's login page asks for tips, which its server would fetch from outside: there are none."""
    return JsonResponse([], safe=False)


def no_telemetry(request: HttpRequest) -> HttpResponse:
    """Where Label Studio's screens send usage data: nothing is kept or passed on."""
    return HttpResponse(status=204)
