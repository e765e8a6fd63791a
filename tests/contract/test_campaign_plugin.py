"""The main job by the same commands on a server with Quorum's plugin, which reconciles by itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.campaigns import Bench
from tests.contract.test_campaign import DISCARDED, NUMBERS, ROWS, answer, row_id, rows, truth
from tests.servers import LabelStudioServer

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def worked(ls_server_plugin: LabelStudioServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The campaign worked to its end by five people."""
    bench = Bench(ls_server_plugin, tmp_path_factory.mktemp("plugin"))
    bench.set_up(rows())
    bench.finish(answer)
    yield bench
    bench.close()


def test_gold_is_the_same_as_on_a_stock_server(worked: Bench) -> None:
    """Every row but the discarded one is gold with the right values, behind each three people."""
    found = worked.export()
    assert [one["row_id"] for one in found] == sorted(row_id(n) for n in range(ROWS) if n != DISCARDED)
    for one in found:
        values = {name: field["value"] for name, field in one["final"]["values"].items()}
        assert values == truth(NUMBERS[one["row_id"]])
        certificate = one["certificate"]
        assert len({*certificate["passes"], certificate["qa"], *certificate["expert"]}) >= 3


def test_sync_finds_nothing_to_do_beside_the_plugin(worked: Bench) -> None:
    """The plugin kept the queues in line; an outside run agrees with it and writes nothing."""
    assert worked.quorum_json("sync")["changes"] == {}


def test_doctor_sees_the_plugin(worked: Bench) -> None:
    """Doctor says that the server holds people to the rules, and nothing fails."""
    report = worked.quorum_json("doctor", "--full")
    levels = {(check["about"], check["level"]) for check in report["checks"]}
    assert ("rules on the server", "ok") in levels
    assert report["ok"]
