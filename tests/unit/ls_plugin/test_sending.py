"""What leaves the server: mails by a real SMTP server and signed calls, each of them once, whatever dies between."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.utils import timezone
from users.models import User

from ls_plugin.models import Notice, NoticeReader, Parcel
from ls_plugin.notices import gathering, outbox, rounds
from ls_plugin.notices.delivery import (
    DeliveryError,
    DeliverySettings,
    MailServer,
    NoticeWebhook,
    QuietHours,
    read_delivery,
)
from tests.support.receivers import Mailbox, Receiver, http_receiver, mail_server
from tests.unit.ls_plugin.support import CampaignInTest, make_campaign, post

ROOT = Path(__file__).resolve().parents[3]
TEXT = "words that leave no server"
WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"a key of thirty-two bytes, no less").decode()


@pytest.fixture
def campaign() -> CampaignInTest:
    made = make_campaign()
    made.add_rows("r1")
    return made


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mail_server() as server:
        yield server


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with http_receiver() as server:
        yield server


def by_mail(box: Mailbox) -> DeliverySettings:
    """Mails to this server, each at once."""
    server = MailServer(host="127.0.0.1", port=box.port, security="none", sender="Quorum <quorum@labels.test>")
    return DeliverySettings(mail=server, digest=timedelta(), address="https://labels.test")


def announce(campaign: CampaignInTest, delivery: DeliverySettings) -> None:
    """Everybody is told something."""
    body = {"name": campaign.campaign.name, "kind": "announcement", "text": TEXT}
    assert post(campaign.client("max"), "/quorum/api/threads", body).status_code == 201
    gathering.gather_log(delivery)


def address(campaign: CampaignInTest, person: str) -> str:
    return str(User.objects.get(pk=campaign.account(person)).email)


def make_round(delivery: DeliverySettings, now: datetime | None = None) -> rounds.RoundOutcome:
    """A round at a moment, without looking for rows that wait."""
    return rounds.make_round(delivery, lambda: now or timezone.now(), queues=False)


def test_each_person_gets_one_mail_that_names_no_text(campaign: CampaignInTest, box: Mailbox) -> None:
    """With a link, by its own Message-ID, and not again in the next round."""
    announce(campaign, by_mail(box))
    assert make_round(by_mail(box)).sent == 8
    (mail,) = box.to(address(campaign, "ana"))
    assert mail["Subject"] == f"{campaign.campaign.name}: A manager tells everybody something."
    assert mail["From"] == "Quorum <quorum@labels.test>"
    body = mail.get_content().replace("\r\n", "\n")
    assert "https://labels.test/quorum/mine/\n" in body
    assert "No more mails: https://labels.test/quorum/mine/notices/" in body
    assert TEXT not in mail.as_string()
    assert box.to(address(campaign, "max")) == []
    assert make_round(by_mail(box)) == rounds.RoundOutcome()
    assert len(box.mails) == len({mail["Message-ID"] for _, mail in box.mails}) == 8


def test_notices_of_a_while_go_into_one_mail_and_what_was_read_into_none(
    campaign: CampaignInTest, box: Mailbox
) -> None:
    """The mail goes when its oldest notice is as old as the digest."""
    delivery = replace(by_mail(box), digest=timedelta(minutes=15))
    announce(campaign, delivery)
    announce(campaign, delivery)
    now = timezone.now()
    NoticeReader.objects.filter(user_id=campaign.account("bea")).update(read_at=now)
    assert make_round(delivery, now + timedelta(minutes=14)).sent == 0
    assert make_round(delivery, now + timedelta(minutes=16)).sent == 7
    (mail,) = box.to(address(campaign, "ana"))
    assert mail["Subject"] == f"{campaign.campaign.name}: 2 notifications"
    assert mail.get_content().count("A manager tells everybody something.") == 2
    assert box.to(address(campaign, "bea")) == []


QUIET = QuietHours(start=time(20), end=time(7), zone=ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize(
    ("clock", "is_quiet"),
    [
        # Berlin is an hour before UTC in winter and two in summer.
        ("2026-01-05T18:59", False),
        ("2026-01-05T19:00", True),
        ("2026-01-06T05:59", True),
        ("2026-01-06T06:00", False),
        ("2026-07-06T17:59", False),
        ("2026-07-06T18:00", True),
        ("2026-07-06T05:00", False),
    ],
)
def test_quiet_hours_go_over_midnight_by_the_clocks_of_their_place(clock: str, is_quiet: bool) -> None:
    """Summer and winter."""
    assert QUIET.covers(datetime.fromisoformat(clock).replace(tzinfo=UTC)) is is_quiet


def test_in_quiet_hours_no_mail_goes_and_afterwards_it_does(campaign: CampaignInTest, box: Mailbox) -> None:
    """Also not one that is tried again."""
    delivery = replace(by_mail(box), quiet=QUIET)
    announce(campaign, delivery)
    evening = (timezone.now() + timedelta(days=1)).replace(hour=21, minute=0)
    assert make_round(delivery, evening).sent == 0
    outbox.pack_mails(replace(delivery, quiet=None), evening)
    assert make_round(delivery, evening).sent == 0
    assert box.mails == []
    assert make_round(delivery, evening + timedelta(hours=14)).sent == 8


def test_who_wants_no_mails_gets_none(campaign: CampaignInTest, box: Mailbox) -> None:
    """Whether they say so before, after it was told, or after it was packed."""
    delivery = by_mail(box)
    choose = {
        person: lambda person=person: post(campaign.client(person), "/quorum/api/notices", {"by_mail": False})
        for person in ("ana", "bea", "cal")
    }
    assert choose["ana"]().json() == {"read": 0, "by_mail": False}
    announce(campaign, delivery)
    choose["bea"]()
    outbox.pack_mails(delivery, timezone.now())
    choose["cal"]()
    came = make_round(delivery)
    assert (came.sent, came.dropped) == (5, 1)
    assert not any(box.to(address(campaign, person)) for person in choose)
    (dropped,) = Parcel.objects.filter(state=outbox.DROPPED)
    assert (dropped.user_id, dropped.why) == (campaign.account("cal"), "the person wants no mails")
    assert campaign.client("ana").get("/quorum/api/notices").json()["notices"]


def test_a_mail_that_no_mailbox_takes_is_given_up_and_the_others_go(campaign: CampaignInTest, box: Mailbox) -> None:
    """The outbox says why."""
    announce(campaign, by_mail(box))
    box.refuses.add(address(campaign, "ana"))
    came = make_round(by_mail(box))
    assert (came.sent, came.failed) == (7, 1)
    (failed,) = Parcel.objects.filter(state=outbox.FAILED)
    assert (failed.user_id, failed.why) == (campaign.account("ana"), "the mail server says 550 no such mailbox")
    assert make_round(by_mail(box), timezone.now() + timedelta(days=1)) == rounds.RoundOutcome()


def test_while_the_mail_server_is_away_mails_wait_and_are_given_up_at_last(
    campaign: CampaignInTest, box: Mailbox
) -> None:
    """A round tries one mail and leaves the others their attempts; each try of a mail comes later than the last."""
    delivery = by_mail(box)
    assert delivery.mail is not None
    away = replace(delivery, mail=replace(delivery.mail, port=1))
    announce(campaign, away)
    now = timezone.now()
    assert make_round(away, now).failed == 1
    assert sorted(Parcel.objects.values_list("attempts", flat=True)) == [0] * 7 + [1]
    tried = Parcel.objects.get(attempts=1)
    assert tried.why == "ConnectionRefusedError: Connection refused"
    assert tried.not_before == now + timedelta(minutes=2)
    Parcel.objects.exclude(pk=tried.pk).delete()
    assert make_round(away, now + timedelta(minutes=1)) == rounds.RoundOutcome()
    for _ in range(outbox.MOST_ATTEMPTS - 1):
        now += timedelta(hours=7)
        assert make_round(away, now).failed == 1
    tried.refresh_from_db()
    assert (tried.state, tried.attempts) == (outbox.FAILED, outbox.MOST_ATTEMPTS)


def test_a_call_is_signed_and_names_ids_alone(campaign: CampaignInTest, receiver: Receiver) -> None:
    """By the key of the specification; what was called once is not called again."""
    delivery = DeliverySettings(
        webhook=NoticeWebhook(url=f"{receiver.url}/hook", secret=WEBHOOK_SECRET), address="https://labels.test"
    )
    campaign.take("ana")
    body = {"name": campaign.campaign.name, "kind": "question", "row_id": "r1", "text": TEXT}
    assert post(campaign.client("ana"), "/quorum/api/threads", body).status_code == 201
    assert make_round(delivery).sent == 1
    assert make_round(delivery).sent == 0
    ((path, headers, content),) = receiver.calls
    assert path == "/hook"
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + content
    key = base64.b64decode(WEBHOOK_SECRET.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    called = json.loads(content)
    assert called["type"] == "quorum.question"
    assert called["data"] == {
        "campaign": campaign.campaign.name,
        "row_id": "r1",
        "stage": None,
        "to": ["max"],
        "text": "A question about row r1 waits for an answer.",
        "url": f"https://labels.test/quorum/campaign/{campaign.campaign.pk}/threads/?row=r1",
    }


def test_a_teams_channel_reads_no_row_and_nothing_that_is_one_persons(
    campaign: CampaignInTest, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """A question that waits, without its row; an answer not at all; the address is in no log."""
    delivery = DeliverySettings(slack_url=f"{receiver.url}/services/T0/secret-of-slack")
    campaign.take("ana")
    body = {"name": campaign.campaign.name, "kind": "question", "row_id": "r1", "text": TEXT}
    number = post(campaign.client("ana"), "/quorum/api/threads", body).json()["id"]
    answer = {"name": campaign.campaign.name, "kind": "answer", "answers": number, "text": TEXT}
    assert post(campaign.client("max"), "/quorum/api/threads", answer).status_code == 201
    receiver.answers = [500]
    with caplog.at_level(logging.DEBUG):
        assert make_round(delivery).failed == 1
        assert make_round(delivery, timezone.now() + timedelta(hours=1)).sent == 1
    assert [json.loads(content) for _, _, content in receiver.calls] == [
        {"text": f"{campaign.campaign.name}: A question waits for an answer."}
    ] * 2
    assert "the receiver says 500" in caplog.text
    assert "secret-of-slack" not in caplog.text + repr(delivery)


def test_rows_that_wait_are_told_to_a_teams_channel_once_a_day(campaign: CampaignInTest, receiver: Receiver) -> None:
    """However many people they wait for."""
    delivery = DeliverySettings(slack_url=receiver.url)
    gathering.gather_queues(timezone.now(), delivery)
    assert Notice.objects.filter(campaign_id=campaign.campaign.pk, kind="queue").count() > 3
    rounds.send_due(delivery)
    mine = [content for _, _, content in receiver.calls if campaign.campaign.name.encode() in content]
    assert [json.loads(content)["text"] for content in mine] == [f"{campaign.campaign.name}: Rows wait."]


def test_a_call_goes_to_the_address_that_was_named_and_to_no_other(
    campaign: CampaignInTest, receiver: Receiver
) -> None:
    """A redirection is a failure."""
    announce(campaign, delivery := DeliverySettings(slack_url=receiver.url))
    receiver.answers = [307]
    assert make_round(delivery).failed == 1
    assert [path for path, _, _ in receiver.calls] == ["/"]


def test_a_test_goes_to_oneself_at_any_hour(
    campaign: CampaignInTest, box: Mailbox, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By each way that is configured, though one wants no mails and nothing else is due."""
    for name, value in {
        "QUORUM_MAIL_HOST": "127.0.0.1",
        "QUORUM_MAIL_PORT": str(box.port),
        "QUORUM_MAIL_SECURITY": "none",
        "QUORUM_MAIL_FROM": "quorum@labels.test",
        "QUORUM_MAIL_QUIET": "00:00-23:59",
        "QUORUM_NOTIFY_URL": receiver.url,
        "QUORUM_NOTIFY_SECRET": "secret",
    }.items():
        monkeypatch.setenv(name, value)
    announce(campaign, read_delivery(os.environ))
    post(campaign.client("max"), "/quorum/api/notices", {"by_mail": False})
    asked = {"name": campaign.campaign.name, "act": "test"}
    came = post(campaign.client("max"), "/quorum/api/outbox", asked).json()
    assert came["channels"] == ["mail", "webhook"]
    assert {sent["channel"]: sent["state"] for sent in came["sent"]} == {"mail": "sent", "webhook": "sent"}
    assert [to for to, _ in box.mails] == [address(campaign, "max")]
    listed = campaign.client("max").get("/quorum/api/outbox", {"name": campaign.campaign.name}).json()["parcels"]
    assert [(each["channel"], each["to"], each["kinds"], each["state"]) for each in listed] == [
        ("mail", "max", ["test"], "sent"),
        ("webhook", None, ["test"], "sent"),
        ("webhook", None, ["announcement"], "waiting"),
    ]


def test_rows_that_wait_are_not_mailed_to_who_is_on_the_page(
    campaign: CampaignInTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They read it there; what comes from others is mailed unless they read it."""
    for name, value in MAIL.items():
        monkeypatch.setenv(name, value)
    announce(campaign, DeliverySettings())
    body = {"name": campaign.campaign.name, "kind": "announcement", "text": TEXT}
    assert post(campaign.client("max"), "/quorum/api/threads", body).status_code == 201
    page = campaign.client("ana").get("/quorum/mine/").content.decode()
    assert "Rows wait for you." in page
    mine = NoticeReader.objects.filter(user_id=campaign.account("ana")).order_by("pk")
    assert [(each.notice.kind, each.by_mail) for each in mine.select_related("notice")] == [
        ("announcement", False),
        ("announcement", True),
        ("queue", False),
    ]


MAIL = {"QUORUM_MAIL_HOST": "mail.test", "QUORUM_MAIL_FROM": "quorum@labels.test"}


@pytest.mark.parametrize(
    ("environment", "fault"),
    [
        ({"QUORUM_MAIL_HOST": "mail.test"}, "QUORUM_MAIL_FROM is missing"),
        (MAIL | {"QUORUM_MAIL_SECURITY": "ssl"}, "write starttls, tls or none"),
        (MAIL | {"QUORUM_MAIL_PORT": "smtp"}, "QUORUM_MAIL_PORT is 'smtp'"),
        (MAIL | {"QUORUM_MAIL_PORT": "65536"}, "at most 65535"),
        (MAIL | {"QUORUM_MAIL_QUIET": "20-7"}, "write it as 20:00-07:00"),
        (MAIL | {"QUORUM_MAIL_QUIET": "25:00-07:00"}, "write it as 20:00-07:00"),
        (MAIL | {"QUORUM_MAIL_QUIET": "20:00-07:00 Berlin"}, "write it as 20:00-07:00"),
        (MAIL | {"QUORUM_MAIL_PASSWORD_FILE": "/no/such/file"}, "cannot be read: No such file"),
        ({"QUORUM_NOTIFY_URL": "https://hooks.test/secret-path"}, "QUORUM_NOTIFY_SECRET is not"),
        ({"QUORUM_SLACK_URL": "file:///etc/secret-path"}, "QUORUM_SLACK_URL is no address"),
        ({"QUORUM_SLACK_URL": "https://[secret-path"}, "QUORUM_SLACK_URL is no address"),
    ],
)
def test_a_variable_that_makes_no_sense_is_named_and_no_secret_is(environment: dict[str, str], fault: str) -> None:
    """One sentence."""
    with pytest.raises(DeliveryError) as caught:
        read_delivery(environment)
    assert fault in str(caught.value)
    assert "secret-path" not in str(caught.value)


def test_a_secret_may_come_by_a_file(tmp_path: Path) -> None:
    """Without the line's end; and what is not set is off."""
    (tmp_path / "password").write_text("hidden\n")
    delivery = read_delivery(MAIL | {"QUORUM_MAIL_PASSWORD_FILE": str(tmp_path / "password")})
    assert delivery.mail is not None
    assert (delivery.mail.password, delivery.mail.port, delivery.mail.security) == ("hidden", 587, "starttls")
    assert "hidden" not in repr(delivery)
    assert not read_delivery(dict.fromkeys(MAIL, "")).is_on


def test_of_two_that_send_at_once_each_mail_is_sent_by_one(campaign: CampaignInTest, box: Mailbox) -> None:
    """Both gather, pack and claim at the same moment, on SQLite."""
    delivery = by_mail(box)
    body = {"name": campaign.campaign.name, "kind": "announcement", "text": TEXT}
    assert post(campaign.client("max"), "/quorum/api/threads", body).status_code == 201
    at_once, outcomes, failures = threading.Barrier(3), list[rounds.RoundOutcome](), list[Exception]()

    def go() -> None:
        try:
            at_once.wait()
            outcomes.append(make_round(delivery))
        except Exception as error:
            failures.append(error)
            raise
        finally:
            connection.close()

    threads = [threading.Thread(target=go) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sum(outcome.made for outcome in outcomes) == 1
    assert sum(outcome.sent for outcome in outcomes) == 8
    assert len(box.mails) == len({to for to, _ in box.mails}) == 8


# Sends like a server's thread, and is killed at the moment that its argument names.
_KILLED = """
import os, signal, sys
import django
django.setup()
from datetime import timedelta
from ls_plugin.notices import channels, outbox, rounds
from ls_plugin.notices.delivery import DeliverySettings, MailServer
def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[1] == "before":
    channels.send_mail = die
else:
    outbox.mark_sent = die
server = MailServer(host="127.0.0.1", port=int(sys.argv[2]), security="none", sender="quorum@labels.test")
rounds.send_due(DeliverySettings(mail=server))
"""


@pytest.mark.parametrize(("moment", "mails_of_the_killed"), [("before", 0), ("after", 1)])
def test_a_mail_whose_sender_is_killed_is_sent_when_its_lease_is_over(
    campaign: CampaignInTest, box: Mailbox, database: Path, moment: str, mails_of_the_killed: int
) -> None:
    """Killed before sending: once. Killed between sending and noting that: twice, under one Message-ID, and no more."""
    delivery = replace(by_mail(box), address="")
    campaign.take("ana")
    body = {"name": campaign.campaign.name, "kind": "question", "row_id": "r1", "text": TEXT}
    assert post(campaign.client("ana"), "/quorum/api/threads", body).status_code == 201
    gathering.gather_log(delivery)
    assert outbox.pack_mails(delivery, timezone.now()) == 1
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "ls_plugin.settings",
        "DJANGO_DB": "sqlite",
        "LABEL_STUDIO_BASE_DATA_DIR": str(database),
        "SECRET_KEY": "of-unit-tests",
        "LOG_LEVEL": "ERROR",
    }
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, moment, str(box.port)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(box.mails) == mails_of_the_killed
    now = timezone.now()
    # Until the lease is over nobody touches it: its holder may be at it still.
    assert make_round(delivery, now).sent == 0
    later = now + outbox.LEASE
    assert make_round(delivery, later).sent == 1
    assert make_round(delivery, later + outbox.LEASE).sent == 0
    assert len(box.mails) == mails_of_the_killed + 1
    assert len({mail["Message-ID"] for _, mail in box.mails}) == 1


def test_who_lost_the_lease_marks_nothing(campaign: CampaignInTest, box: Mailbox) -> None:
    """A sender that was asleep for longer than its lease finds that another has taken the parcel."""
    announce(campaign, by_mail(box))
    now = timezone.now()
    outbox.pack_mails(by_mail(box), now)
    slow = outbox.claim(by_mail(box), now)
    assert slow is not None
    later = now + outbox.LEASE
    assert make_round(by_mail(box), later).sent == 8
    assert not outbox.mark_sent(slow, later)
    outbox.mark_failed(slow, "too late", later)
    assert Parcel.objects.get(pk=slow.pk).state == outbox.SENT
