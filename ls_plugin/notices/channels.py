"""The ways out: a mail by Django's mail, a call signed as standardwebhooks.com has it, a line for a Slack address.

Whatever fails comes back as a sentence without a secret. The calls go by the standard library, as the usual clients
write addresses into the log, and a Slack address is a secret.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import smtplib
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from datetime import datetime
from http.client import HTTPException
from typing import Any, Final

from django.core.mail import EmailMessage
from django.core.mail.backends.smtp import EmailBackend
from django.utils import timezone

from ls_plugin.notices.delivery import DeliverySettings, MailServer, NoticeWebhook
from ls_plugin.notices.wording import Wording

_TIMEOUT_S: Final = 20
_MOST_LISTED: Final = 50
_PREFIX: Final = "whsec_"
_OK: Final = range(200, 300)
# RFC 5321: what begins with 5 stays so however often it is tried.
_FOR_GOOD: Final = 500


class SendingError(Exception):
    """A parcel could not be sent; `for_good` if trying again cannot help."""

    def __init__(self, why: str, *, for_good: bool = False) -> None:
        super().__init__(why)
        self.for_good = for_good


def send_mail(
    server: MailServer, *, key: str, to: str, campaign: str, notices: Sequence[Wording], address: str = ""
) -> None:
    """Hand a mail in.

    Args:
        server: where.
        key: the parcel's key, of which the Message-ID is made: a mail that comes twice has the same one.
        to: the address that it goes to.
        campaign: the campaign's name.
        notices: what it tells.
        address: this server's own address, for links; empty for none.

    Raises:
        SendingError: It was not taken.
    """
    place = " ".join(campaign.split())
    what = notices[0].sentence if len(notices) == 1 else f"{len(notices)} notifications"
    domain = server.sender.rpartition("@")[2].rstrip("> ")
    headers = {
        "Message-ID": f"<{key.replace(':', '.')}@{domain}>",
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
    }
    if address:
        headers["List-Unsubscribe"] = f"<{address}/quorum/mine/notices/>"
    backend = EmailBackend(
        host=server.host,
        port=server.port,
        username=server.user,
        password=server.password,
        use_tls=server.security == "starttls",
        use_ssl=server.security == "tls",
        timeout=_TIMEOUT_S,
    )
    body = _mail_text(place, notices, address)
    mail = EmailMessage(
        f"{place}: {what}", body, from_email=server.sender, to=[to], headers=headers, connection=backend
    )
    try:
        mail.send()
    except smtplib.SMTPRecipientsRefused as error:
        code, answer = next(iter(error.recipients.values()))
        raise SendingError(_smtp_words(code, answer), for_good=code >= _FOR_GOOD) from None
    except smtplib.SMTPResponseException as error:
        raise SendingError(_smtp_words(error.smtp_code, error.smtp_error)) from None
    except (smtplib.SMTPException, OSError) as error:
        raise SendingError(_words_of(error)) from None


def _mail_text(campaign: str, notices: Sequence[Wording], address: str) -> str:
    lines = [f"What is new for you in {campaign}:", ""]
    for notice in notices[:_MOST_LISTED]:
        lines.append(f"- {notice.sentence}")
        if address:
            lines.append(f"  {address}{notice.path}")
    if len(notices) > _MOST_LISTED:
        lines.append(f"and {len(notices) - _MOST_LISTED} more on your page")
    own = f"{address}/quorum/mine/notices/" if address else "My work, What is new for you"
    lines += ["", "You get this mail because you are in the team of this campaign.", f"No more mails: {own}"]
    return "\n".join(lines) + "\n"


def _smtp_words(code: int, answer: bytes | str) -> str:
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    return f"the mail server says {code} {' '.join(text.split())}"


def call_webhook(target: NoticeWebhook, *, key: str, body: Mapping[str, Any], now: datetime | None = None) -> None:
    """Call a webhook with JSON that bears its key, the time and a signature over both and the body.

    Raises:
        SendingError: It was not taken.
    """
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    seconds = int((now or timezone.now()).timestamp())
    headers = {
        "webhook-id": key,
        "webhook-timestamp": str(seconds),
        "webhook-signature": signature(target.secret, key, seconds, content),
    }
    _post(target.url, content, headers)


def signature(secret: str, key: str, seconds: int, content: bytes) -> str:
    """The signature of a call, as the specification has it: HMAC-SHA256 over key, time and body."""
    signed = f"{key}.{seconds}.".encode() + content
    return "v1," + base64.b64encode(hmac.new(_key_of(secret), signed, hashlib.sha256).digest()).decode()


def _key_of(secret: str) -> bytes:
    if not secret.startswith(_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        return secret.encode()


def call_slack(delivery: DeliverySettings, *, campaign: str, sentence: str, path: str) -> None:
    """Write a line into a channel that a team reads.

    Raises:
        SendingError: It was not taken.
    """
    link = f" {delivery.address}{path}" if delivery.address else ""
    text = f"{' '.join(campaign.split())}: {sentence}"
    # What people named must not become a mention or a link of Slack's own mark-up.
    for sign, code in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(sign, code)
    _post(delivery.slack_url, json.dumps({"text": text + link}).encode(), {})


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A call goes to the address that was configured and to no other."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Follow nothing."""


_opener = urllib.request.build_opener(_NoRedirect)


def _post(url: str, content: bytes, headers: Mapping[str, str]) -> None:
    plain = {"Content-Type": "application/json", "User-Agent": "quorum", **headers}
    request = urllib.request.Request(url, data=content, headers=plain, method="POST")  # noqa: S310 - read_delivery takes http and https only
    try:
        with _opener.open(request, timeout=_TIMEOUT_S) as response:
            status = response.status
    except urllib.error.HTTPError as error:
        status = error.code
        error.close()
    except (OSError, HTTPException) as error:
        raise SendingError(_words_of(error)) from None
    if status not in _OK:
        raise SendingError(f"the receiver says {status}")


def _words_of(error: Exception) -> str:
    """What went wrong, without the address that was called."""
    reason = getattr(error, "reason", None)
    cause = reason if isinstance(reason, OSError) else error
    words = getattr(cause, "strerror", None)
    return f"{type(cause).__name__}: {words}" if words else type(cause).__name__
