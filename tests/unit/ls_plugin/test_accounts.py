"""Passwords, wrong ones, and sessions that end on the server."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from rest_framework.authtoken.models import Token
from users.models import User

from ls_plugin.models import EndedSession, Member, OneTimePassword, Record
from tests.support.servers import OWNER
from tests.unit.ls_plugin.support import CampaignInTest, Response, make_campaign, owner_client, post

OWN = "Seven quiet herons"


@pytest.fixture
def campaign() -> CampaignInTest:
    made = make_campaign()
    made.add_rows("r1")
    return made


def sign_in(email: str, password: str, client: Client | None = None) -> tuple[Client, Response]:
    """Sign in by the form; the browser and what it was answered."""
    browser = client or Client()
    browser.get("/user/login/")
    token = browser.cookies["csrftoken"].value
    form = {"email": email, "password": password, "persist_session": "on", "csrfmiddlewaretoken": token}
    return browser, browser.post("/user/login/", form, HTTP_ACCEPT="text/html")


def email_of(campaign: CampaignInTest, person: str) -> str:
    """The address that somebody signs in with."""
    return str(User.objects.get(pk=campaign.account(person)).email)


def new_password(campaign: CampaignInTest, person: str, by: str = "max") -> Response:
    """What a manager is answered who gives somebody a new password."""
    body = {"name": campaign.campaign.name, "person": person}
    return post(campaign.client(by), "/quorum/api/password", body)


def change(browser: Client, old: str, new: str) -> Response:
    """Fill in the page of one's password."""
    form = {"old_password": old, "new_password1": new, "new_password2": new}
    return browser.post("/quorum/password/", form, HTTP_ACCEPT="text/html")


def test_a_password_from_a_manager_opens_nothing_but_the_page_where_it_is_changed(campaign: CampaignInTest) -> None:
    """Pages lead there, programs are told the address; afterwards all is open, and the old one is good no more."""
    given = new_password(campaign, "ana")
    assert given.status_code == 201, given.content
    one_time, email = given.json()["password"], given.json()["email"]
    assert email == email_of(campaign, "ana")
    browser, _ = sign_in(email, one_time)
    shut = browser.get("/quorum/mine/", HTTP_ACCEPT="text/html")
    assert (shut.status_code, shut["Location"]) == (302, "/quorum/password/")
    refused = browser.get("/api/projects/")
    assert (refused.status_code, refused.json()["code"]) == (403, "one_time_password")
    assert "somebody else gave you" in browser.get("/quorum/password/", HTTP_ACCEPT="text/html").content.decode()
    for weak in ("short", "password1", email):
        assert 'role="alert"' in change(browser, one_time, weak).content.decode()
    assert "Your password is changed" in change(browser, one_time, OWN).content.decode()
    assert browser.get("/quorum/mine/", HTTP_ACCEPT="text/html").status_code == 200
    assert "match" in sign_in(email, one_time)[1].content.decode()
    lines = [line.body for line in Record.objects.filter(kind="password", user_id=campaign.account("ana"))]
    assert lines == [f'{{"by":{campaign.account("max")}}}', '{"by":"self"}']
    assert not OneTimePassword.objects.filter(pk=campaign.account("ana")).exists()


def test_other_sessions_end_when_a_password_changes(campaign: CampaignInTest) -> None:
    """Both by the person and by a manager's new one."""
    one_time = new_password(campaign, "bea").json()["password"]
    browser, _ = sign_in(email_of(campaign, "bea"), one_time)
    change(browser, one_time, OWN)
    elsewhere, _ = sign_in(email_of(campaign, "bea"), OWN)
    assert elsewhere.get("/api/current-user/whoami").status_code == 200
    change(browser, OWN, OWN + "!")
    assert elsewhere.get("/api/current-user/whoami").status_code == 401
    assert browser.get("/api/current-user/whoami").status_code == 200
    new_password(campaign, "bea")
    assert browser.get("/api/current-user/whoami").status_code == 401


def test_who_gives_whom_a_password(campaign: CampaignInTest) -> None:
    """Managers give one to their people; nobody but the owner to a manager, and nobody to the owner."""
    assert new_password(campaign, "ana", by="bea").json()["code"] == "managers_only"
    assert new_password(campaign, "nobody").json()["code"] == "bad_request"
    other = make_campaign()
    assert new_password(campaign, "ana", by="max").status_code == 201
    assert (
        post(other.client("max"), "/quorum/api/password", {"name": campaign.campaign.name, "person": "ana"}).json()[
            "code"
        ]
        == "no_project"
    )
    body = {"name": campaign.campaign.name, "person": "max"}
    assert post(owner_client(), "/quorum/api/password", body).status_code == 201


def test_a_password_opens_no_campaign_of_another_manager(campaign: CampaignInTest) -> None:
    """Max could sign in as ana, who also works for somebody else: that account is the owner's to reset."""
    other = make_campaign()
    Member.objects.filter(campaign=other.campaign, person_id="ana").update(user_id=campaign.account("ana"))
    assert new_password(campaign, "ana").json()["code"] == "owner_only"
    body = {"name": campaign.campaign.name, "person": "ana"}
    assert post(owner_client(), "/quorum/api/password", body).status_code == 201


def test_guessing_ends_after_five_wrong_passwords_for_who_guesses(campaign: CampaignInTest) -> None:
    """Even the right one is refused then; from another place it opens, and a new password lets the person in again."""
    one_time, email = new_password(campaign, "ana").json()["password"], email_of(campaign, "ana")
    answers = [sign_in(email, f"guess {number}")[1] for number in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 429]
    assert "Too many wrong passwords: wait 15 minutes" in answers[-1].content.decode()
    browser, locked = sign_in(email, one_time)
    assert "Too many wrong passwords" in locked.content.decode()
    assert browser.get("/api/current-user/whoami").status_code == 401
    elsewhere, let_in = sign_in(email, one_time, Client(REMOTE_ADDR="192.0.2.7"))
    assert let_in.status_code == 302, let_in.content.decode()
    assert elsewhere.get("/quorum/password/").status_code == 200
    (line,) = Record.objects.filter(kind="locked_out", user_id=campaign.account("ana"))
    assert line.body == "{}"
    again = new_password(campaign, "ana").json()["password"]
    assert sign_in(email, again)[1].status_code == 302


def test_a_copy_of_the_cookie_is_good_for_nothing_after_signing_out(campaign: CampaignInTest) -> None:
    """Label Studio keeps sessions in cookies alone; the server remembers which have ended."""
    one_time = new_password(campaign, "ana").json()["password"]
    browser, _ = sign_in(email_of(campaign, "ana"), one_time)
    change(browser, one_time, OWN)
    thief = Client()
    thief.cookies.load({name: morsel.value for name, morsel in browser.cookies.items()})
    assert thief.get("/api/current-user/whoami").status_code == 200
    ended = EndedSession.objects.count()
    browser.get("/logout")
    assert EndedSession.objects.count() == ended + 1
    assert thief.get("/api/current-user/whoami").status_code == 401
    assert sign_in(email_of(campaign, "ana"), OWN, browser)[1].status_code == 302
    assert browser.get("/api/current-user/whoami").status_code == 200


@pytest.mark.parametrize("path", ["/user/login/", "/quorum/mine/", "/projects/", "/quorum/password/", "/health"])
def test_no_page_of_this_server_is_shown_inside_another_ones(campaign: CampaignInTest, path: str) -> None:
    """And no browser guesses what a file is, or tells other sites where somebody came from."""
    page = campaign.client("ana").get(path, HTTP_ACCEPT="text/html")
    assert re.fullmatch("SAMEORIGIN|DENY", page["X-Frame-Options"])
    assert page["X-Content-Type-Options"] == "nosniff"
    assert page["Referrer-Policy"] == "same-origin"


def test_strangers_are_not_told_which_versions_run_here() -> None:
    """What an attacker would look up is for people who are signed in."""
    assert Client().get("/version/").status_code in (401, 302)
    assert Client().get("/api/version/").status_code in (401, 302)
    assert Client().get("/api/version", HTTP_AUTHORIZATION="Token of-nobody").status_code == 401
    key = Token.objects.get(user__email=OWNER.email).key
    assert "release" in Client().get("/api/version", HTTP_AUTHORIZATION=f"Token {key}").json()
