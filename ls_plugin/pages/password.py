"""Passwords: a person changes their own, and a manager gives somebody a new one that is good for one sign-in."""

from __future__ import annotations

from django.contrib.auth.forms import PasswordChangeForm
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ls_plugin.access import sign_in
from ls_plugin.access.parameters import parameters
from ls_plugin.pages.callers import caller, campaign_of
from ls_plugin.pages.rendering import render_page


def own_password(request: HttpRequest) -> HttpResponse:
    """Where a person changes their password; it says so where they have to before anything else."""
    form = PasswordChangeForm(request.user, request.POST or None)  # type: ignore[arg-type]  # the rule lets in nobody else
    changed = False
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            form.save()
            sign_in.note_own_password(request)
        form, changed = PasswordChangeForm(request.user), True  # type: ignore[arg-type]
    context = {
        "form": form,
        "forced": sign_in.wants_password(request),
        "changed": changed,
        "csrf": get_token(request),
    }
    return render_page(request, "password.html", context)


class PasswordView(APIView):
    """Gives somebody of a campaign a new password, which they have to change when they sign in."""

    permission_classes = (IsAuthenticated,)

    def post(self, request: Request) -> Response:
        """A new one-time password for `person` of the campaign `name`; it is in the answer and nowhere else."""
        giver, body = caller(request), parameters(request)
        campaign = campaign_of(giver, body.get("name"))
        password, email = sign_in.give_password(campaign, str(body.get("person") or ""), giver)
        return Response({"id": body.get("person"), "email": email, "password": password}, status=201)
