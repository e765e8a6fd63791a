"""Signing in and out: wrong passwords are counted, a session ends on the server, and a password that somebody else gave
is changed before anything else.

Label Studio keeps a session in its cookie alone, so a copy of the cookie would go on working after signing out. The
server remembers which sessions have ended, as long as their cookies would be good.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

from axes.handlers.proxy import AxesProxyHandler
from axes.signals import user_locked_out
from axes.utils import reset
from core.current_request import get_current_request
from django.conf import settings
from django.contrib import auth
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.core.exceptions import ValidationError
from django.db import transaction
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone
from rest_framework.authtoken.models import Token
from users.forms import INVALID_USER_ERROR
from users.forms import LoginForm as LabelStudioLoginForm
from users.models import User

from ls_plugin.models import Campaign, EndedSession, Member, OneTimePassword
from ls_plugin.people.standings import Standing, standing_of
from ls_plugin.people.team import PASSWORD_BYTES
from ls_plugin.store import audit_log
from ls_plugin.store.refusals import Refused

_ONE_TIME = "quorum_one_time_password"
"""The key of a session whose person has to choose a password first."""
_SESSION = "uid"
"""The key under which Label Studio gives each session an id of its own."""


class LoginForm(LabelStudioLoginForm):
    """Label Studio's form, with an end to guessing: after some wrong passwords even the right one is refused."""

    def clean(self) -> dict[str, Any]:
        """Find out who signs in.

        Raises:
            ValidationError: The password is wrong, or was wrong too often.
        """
        request = get_current_request()
        credentials = {settings.AXES_USERNAME_FORM_FIELD: self.cleaned_data.get("email", "").lower()}
        if not AxesProxyHandler.is_allowed(request, credentials):
            raise ValidationError(locked_sentence())
        user = auth.authenticate(request, **credentials, password=self.cleaned_data.get("password", ""))
        if user is None or not user.is_active:
            raise ValidationError(locked_sentence() if is_locked_out(request) else INVALID_USER_ERROR)
        return {"user": user, "persist_session": self.cleaned_data.get("persist_session", False)}


def remote_address(request: HttpRequest) -> str:
    """Where a request comes from: what the connection says, and no header that its sender may write."""
    return str(request.META.get("REMOTE_ADDR", ""))


def locked_sentence() -> str:
    """What somebody reads whose password was wrong too often."""
    minutes = settings.AXES_COOLOFF_TIME // timedelta(minutes=1)
    return f"Too many wrong passwords: wait {minutes} minutes, or ask your manager for a new one."


def is_locked_out(request: HttpRequest | None) -> bool:
    """Whether this request was one wrong password too many."""
    return bool(getattr(request, "axes_locked_out", False))


def has_ended(request: HttpRequest) -> bool:
    """Whether the session of a request was ended on the server, whatever its cookie says."""
    if settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return False
    session = request.session.get(_SESSION)
    return session is not None and EndedSession.objects.filter(pk=session).exists()


def wants_password(request: HttpRequest) -> bool:
    """Whether the caller signed in with a password that somebody else gave them, and has not chosen one since."""
    return bool(request.session.get(_ONE_TIME))


def note_own_password(request: HttpRequest) -> None:
    """Note that the person of a session has chosen a password; their other sessions end with the old one."""
    auth.update_session_auth_hash(request, request.user)  # type: ignore[arg-type]  # somebody is signed in
    OneTimePassword.objects.filter(pk=request.user.pk).delete()
    request.session.pop(_ONE_TIME, None)
    audit_log.write(audit_log.Entry("password", request.user.pk, body={"by": "self"}))


def give_password(campaign: Campaign, person: str, giver: Standing) -> tuple[str, str]:
    """Give somebody of a campaign's team a password for one sign-in; whatever they had open or locked ends with it.

    Returns:
        The password, which is stored as its hash alone, and the address that they sign in with.

    Raises:
        Refused: ``managers_only`` to who does not manage the campaign; ``owner_only`` for the owner's account, and for
            a manager's or that of who works in others' campaigns, unless the owner asks; ``bad_request`` where nobody
            of that id has an account.
    """
    if not giver.manages(campaign.pk):
        raise Refused("managers_only")
    member = Member.objects.filter(campaign=campaign, person_id=person, user_id__isnull=False).first()
    user = member and User.objects.filter(pk=member.user_id).first()
    if not user:
        raise Refused("bad_request", f"{person!r} is nobody of this campaign who has an account.")
    standing = standing_of(user)
    # Whoever could sign in as somebody would have that person's other campaigns as well.
    if standing is not None and not giver.owner and user.pk != giver.user_id:
        if standing.manager_somewhere:
            raise Refused("owner_only", "The password of a manager is reset by the owner of this server.")
        if not all(map(giver.manages, standing.people)):
            raise Refused("owner_only", f"{person} works in a campaign that you do not manage: the owner resets it.")
    if standing is not None and standing.owner:
        raise Refused("owner_only", "The owner's password is not reset by a manager: quorum up has it.")
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    with transaction.atomic():
        user.set_password(password)
        user.save(update_fields=["password"])
        OneTimePassword.objects.get_or_create(pk=user.pk, defaults={"at": timezone.now()})
        # A key that the old password's thief took from the account's page is good no more.
        Token.objects.filter(user=user).delete()
        Token.objects.create(user=user)
        audit_log.write(
            audit_log.Entry("password", user.pk, campaign.pk, body={"by": giver.user_id}),
        )
    reset(username=user.email)  # what they locked by the password that they had forgotten
    return password, user.email


@receiver(user_logged_in, dispatch_uid="quorum-signed-in")
def _note_one_time(request: HttpRequest, user: Any, **_: Any) -> None:
    if OneTimePassword.objects.filter(pk=user.pk).exists():
        request.session[_ONE_TIME] = True


@receiver(user_logged_out, dispatch_uid="quorum-signed-out")
def _end_session(request: HttpRequest, **_: Any) -> None:
    session = request.session.get(_SESSION)
    if session is None:
        return
    now = timezone.now()
    # Cookies of older sessions are refused by their age.
    EndedSession.objects.filter(at__lt=now - timedelta(seconds=settings.MAX_SESSION_AGE)).delete()
    EndedSession.objects.get_or_create(pk=str(session), defaults={"at": now})


@receiver(user_locked_out, dispatch_uid="quorum-locked-out")
def _tell_lock_out(username: str | None = None, **_: Any) -> None:
    """Write into the audit log that somebody was locked out: whose account it is, and no more of what was typed."""
    account = User.objects.filter(email=username or "").values_list("pk", flat=True).first()
    audit_log.write(audit_log.Entry("locked_out", account))
