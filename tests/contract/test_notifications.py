"""A server that was told how notifications leave it sends them by itself, and the command says what became of them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from label_studio_quorum.servers.label_studio import WITH_PLUGIN
from tests.contract.plugin_campaign import TEAM, Line, make_line, rows
from tests.support.receivers import Mailbox, Receiver, http_receiver, mail_server
from tests.support.servers import OWNER, label_studio_server, quorum

pytestmark = pytest.mark.server

PATIENCE_S = 240
SECRETS = ("secret-of-the-webhook", "/services/secret-of-slack")


@dataclass(frozen=True)
class Sending:
    """A campaign on a server that sends, and who takes it."""

    line: Line
    box: Mailbox
    receiver: Receiver
    folder: Path


@pytest.fixture(scope="module")
def sending(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sending]:
    """A server of its own, since the shared one sends nothing."""
    folder = tmp_path_factory.mktemp("notifications")
    with mail_server() as box, http_receiver() as receiver:
        (folder / "slack").write_text(f"{receiver.url}{SECRETS[1]}\n")
        environment = {
            "QUORUM_MAIL_HOST": "127.0.0.1",
            "QUORUM_MAIL_PORT": str(box.port),
            "QUORUM_MAIL_SECURITY": "none",
            "QUORUM_MAIL_FROM": "quorum@labels.test",
            "QUORUM_MAIL_DIGEST_MINUTES": "0",
            "QUORUM_NOTIFY_URL": f"{receiver.url}/hook",
            "QUORUM_NOTIFY_SECRET": SECRETS[0],
            "QUORUM_SLACK_URL_FILE": str(folder / "slack"),
            "LOG_LEVEL": "DEBUG",
        }
        with label_studio_server(folder, WITH_PLUGIN, **environment) as server:
            yield Sending(make_line(server, rows(2), team=TEAM, fresh=True), box, receiver, folder)


def test_the_server_sends_by_itself_and_the_command_says_what_became_of_it(sending: Sending) -> None:
    """A test to oneself; a question that reaches the manager's mailbox without anybody asking for it; no secret."""
    line, box = sending.line, sending.box
    where = {"QUORUM_URL": line.server.url, "QUORUM_API_KEY": line.server.token}
    tried = quorum("notify", "test", "--name", line.name, **where)
    assert (tried.returncode, sorted(tried.stdout.splitlines())) == (
        0,
        ["mail: sent", "slack: sent", "webhook: sent"],
    ), tried.stderr
    assert [mail["Subject"] for mail in box.to(OWNER.email)] == [
        f"{line.name}: This is a test: notifications reach you."
    ]
    assert line.next("ana").status_code == 200
    body = {"name": line.name, "kind": "question", "row_id": "r1", "text": "words that leave no server"}
    assert line.people["ana"].post("/quorum/api/threads", json=body).status_code == 201
    wanted = f"{line.name}: A question about row r1 waits for an answer."
    deadline = time.monotonic() + PATIENCE_S
    while wanted not in (subjects := [mail["Subject"] for mail in box.to(line.people["max"].email)]):
        assert time.monotonic() < deadline, (subjects, line.server.log)
        time.sleep(0.5)
    listed = json.loads(quorum("notify", "--name", line.name, "--json", **where).stdout)
    assert listed["channels"] == ["mail", "webhook", "slack"]
    told = [(each["channel"], each["to"], each["state"]) for each in listed["parcels"] if each["kinds"] == ["question"]]
    assert ("mail", "max", "sent") in told
    sent = "".join(mail.as_string() for _, mail in box.mails) + "".join(
        content.decode() for _, _, content in sending.receiver.calls
    )
    assert "words that leave no server" not in sent
    log = (sending.folder / "label-studio.log").read_text(encoding="utf-8", errors="replace")
    assert not [secret for secret in SECRETS if secret in log]
