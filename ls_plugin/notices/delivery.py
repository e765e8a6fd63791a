"""How notices leave the server, from the environment. Without a variable nothing leaves.

Secrets come by the variable itself or by a file that it names with `_FILE`; no part of this module prints one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings

from label_studio_quorum.servers.label_studio import (
    ADDRESS,
    MAIL_DIGEST,
    MAIL_FROM,
    MAIL_HOST,
    MAIL_PASSWORD,
    MAIL_PORT,
    MAIL_QUIET,
    MAIL_SECURITY,
    MAIL_USER,
    SLACK_URL,
    WEBHOOK_SECRET,
    WEBHOOK_URL,
)
from review_rules.errors import PublicError

_QUIET = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)(?: (\S+))?")
_PORTS: Final = {"starttls": 587, "tls": 465, "none": 25}
_DIGEST_MINUTES: Final = "15"


class DeliveryError(PublicError):
    """A variable of the environment that says how notices leave the server cannot be read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MailServer:
    """Where mails are handed in; `security`: starttls, tls or none."""

    host: str
    port: int
    security: str
    sender: str
    user: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class NoticeWebhook:
    """Who is called for each notice, and what the calls are signed with."""

    url: str = field(repr=False)
    secret: str = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class QuietHours:
    """From when to when, by the clocks of a place, no mail is sent."""

    start: time
    end: time
    zone: ZoneInfo

    def covers(self, moment: datetime) -> bool:
        """Whether a moment lies in them; they may go over midnight."""
        clock = moment.astimezone(self.zone).time()
        if self.start <= self.end:
            return self.start <= clock < self.end
        return clock >= self.start or clock < self.end


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliverySettings:
    """Everything about what leaves the server.

    Attributes:
        mail: where mails are handed in; None: none are sent.
        webhook: who is called with a signed call; None: nobody.
        slack_url: a Slack-compatible address, itself a secret; empty: none.
        digest: how long notices are gathered before they go into one mail.
        quiet: when no mail is sent.
        address: this server's own address, for links; empty where nobody set it.
    """

    mail: MailServer | None = None
    webhook: NoticeWebhook | None = None
    slack_url: str = field(default="", repr=False)
    digest: timedelta = timedelta(minutes=15)
    quiet: QuietHours | None = None
    address: str = ""

    @property
    def is_on(self) -> bool:
        """Whether anything leaves the server."""
        return bool(self.mail or self.webhook or self.slack_url)

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels that are configured."""
        named = (("mail", self.mail), ("webhook", self.webhook), ("slack", self.slack_url))
        return tuple(name for name, target in named if target)

    def is_quiet(self, moment: datetime) -> bool:
        """Whether no mail is sent at a moment."""
        return self.quiet is not None and self.quiet.covers(moment)


def read_delivery(environment: Mapping[str, str]) -> DeliverySettings:
    """The settings of an environment.

    Raises:
        DeliveryError: A variable is missing or makes no sense; the sentence names it and never its value if secret.
    """
    url, slack = _address(environment, WEBHOOK_URL), _address(environment, SLACK_URL)
    secret = _secret(environment, WEBHOOK_SECRET)
    if url and not secret:
        raise DeliveryError(f"{WEBHOOK_URL} is set and {WEBHOOK_SECRET} is not: calls are signed; set a secret too")
    return DeliverySettings(
        mail=_mail_server(environment),
        webhook=NoticeWebhook(url=url, secret=secret) if url else None,
        slack_url=slack,
        digest=timedelta(minutes=_number(environment, MAIL_DIGEST, _DIGEST_MINUTES, most=7 * 24 * 60)),
        quiet=_quiet_hours(environment.get(MAIL_QUIET, "")),
        address=(_address(environment, ADDRESS) or str(settings.HOSTNAME or "")).rstrip("/"),
    )


def _mail_server(environment: Mapping[str, str]) -> MailServer | None:
    host = environment.get(MAIL_HOST, "")
    if not host:
        return None
    security, sender = environment.get(MAIL_SECURITY) or "starttls", environment.get(MAIL_FROM, "")
    if security not in _PORTS:
        raise DeliveryError(f"{MAIL_SECURITY} is {security!r}: write starttls, tls or none")
    if "@" not in sender or len(sender.splitlines()) != 1:
        raise DeliveryError(f"{MAIL_FROM} is missing: write the address that mails come from")
    return MailServer(
        host=host,
        port=_number(environment, MAIL_PORT, str(_PORTS[security]), most=65535),
        security=security,
        sender=sender,
        user=environment.get(MAIL_USER, ""),
        password=_secret(environment, MAIL_PASSWORD),
    )


def _number(environment: Mapping[str, str], name: str, default: str, *, most: int) -> int:
    text = environment.get(name) or default
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) <= most):
        raise DeliveryError(f"{name} is {text!r}: write a whole number of at most {most}")
    return int(text)


def _secret(environment: Mapping[str, str], name: str) -> str:
    file = environment.get(f"{name}_FILE", "")
    if not file:
        return environment.get(name, "")
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise DeliveryError(f"{name}_FILE names {file!r}, which cannot be read: {reason}") from None


def _address(environment: Mapping[str, str], name: str) -> str:
    url = _secret(environment, name)
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good or len(url.split()) != 1:
        raise DeliveryError(f"{name} is no address: write one that begins with https:// or http://")
    return url


def _quiet_hours(text: str) -> QuietHours | None:
    if not text:
        return None
    match = _QUIET.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        start_hour, start_minute, end_hour, end_minute = (int(part) for part in match.groups()[:4])
        zone = ZoneInfo(match[5] or "UTC")
        return QuietHours(start=time(start_hour, start_minute), end=time(end_hour, end_minute), zone=zone)
    except (ValueError, ZoneInfoNotFoundError):
        raise DeliveryError(f"{MAIL_QUIET} is {text!r}: write it as 20:00-07:00 Europe/Berlin") from None
