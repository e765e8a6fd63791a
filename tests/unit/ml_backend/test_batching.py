"""The batching threads: order, overtaking, budgets, refusals, and failures that stay with their own request."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from ml_backend.batching import Batcher, WindowReading
from ml_backend.errors import ApiError
from ml_backend.metrics import Metrics
from ml_backend.tokens import Window


@dataclass
class Tokens:
    """What a window needs to know of an encoding."""

    ids: list[int]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def type_ids(self) -> list[int]:
        """Segment ids."""
        return [0] * len(self.ids)


@dataclass
class Doubling:
    """A network that gives back twice its ids, and remembers the shapes it saw."""

    gate: threading.Event = field(default_factory=threading.Event)
    shapes: list[tuple[int, int]] = field(default_factory=list)
    began: threading.Event = field(default_factory=threading.Event)
    order: list[int] = field(default_factory=list)

    def run(self, ids: Any, mask: Any, type_ids: Any) -> Any:
        """See `Network.run`; waits for the gate."""
        self.began.set()
        assert self.gate.wait(10)
        self.shapes.append(ids.shape)
        self.order += [int(row[0]) for row in ids]
        if (ids == 666).any():
            raise RuntimeError("no")
        return ids * 2


def reading(network: Doubling, *ids: int) -> WindowReading:
    """A window with these token ids, of which everything is kept."""
    return WindowReading(
        network,
        Window(Tokens(list(ids))),
        {"all": lambda row, window: np.asarray(row[: len(window)], dtype=np.float32)},
    )


@pytest.fixture
def network() -> Doubling:
    """A network whose gate is open."""
    found = Doubling()
    found.gate.set()
    return found


def test_each_piece_gets_its_own_output(network: Doubling) -> None:
    """Sorted, padded and batched, every window still finds what belongs to it."""
    batcher = Batcher(12, 1000, Metrics())
    readings = [reading(network, *range(n, 2 * n)) for n in (1, 5, 3, 2, 4, 6, 1)]
    batcher.run(readings, 10)
    wanted = [[2 * i for i in range(n, 2 * n)] for n in (1, 5, 3, 2, 4, 6, 1)]
    assert [p.outputs["all"].tolist() for p in readings] == wanted
    assert all(rows * width <= 12 for rows, width in network.shapes)
    batcher.close()


def test_a_piece_longer_than_the_budget_runs_alone(network: Doubling) -> None:
    """The budget bounds a batch, it does not refuse a window."""
    batcher = Batcher(4, 1000, Metrics())
    readings = [reading(network, *([1] * 9)), reading(network, 1)]
    batcher.run(readings, 10)
    assert (1, 9) in network.shapes
    batcher.close()


def test_a_small_request_overtakes_a_bulk() -> None:
    """A single task that comes while a bulk is running is in the very next batch."""
    network = Doubling()
    batcher = Batcher(8, 100_000, Metrics())
    bulk = threading.Thread(target=batcher.run, args=([reading(network, 7, 7, 7, 7) for _ in range(40)], 30))
    bulk.start()
    assert network.began.wait(5)
    small = threading.Thread(target=batcher.run, args=([reading(network, 1, 1)], 30))
    small.start()
    while len(batcher._jobs) < 2:
        time.sleep(0.001)
    network.gate.set()
    small.join(5)
    bulk.join(5)
    assert network.order.index(1) == 2
    batcher.close()


@dataclass
class Meeting(Doubling):
    """A network whose runs wait for one another: each ends only while another is under way."""

    barrier: threading.Barrier = field(default_factory=lambda: threading.Barrier(2))

    def run(self, ids: Any, mask: Any, type_ids: Any) -> Any:
        """See `Network.run`."""
        self.barrier.wait(10)
        self.shapes.append(ids.shape)
        return ids * 2


def test_two_lanes_run_two_batches_side_by_side_and_share_what_little_there_is() -> None:
    """A job that would fit into one batch is shared out, so that no lane stands idle; every reading gets its own."""
    network = Meeting()
    batcher = Batcher(256, 1000, Metrics(), lanes=2)
    readings = [reading(network, *([n] * 64)) for n in (1, 2)]
    batcher.run(readings, 10)
    assert network.shapes == [(1, 64), (1, 64)]
    assert [p.outputs["all"].tolist() for p in readings] == [[2 * n] * 64 for n in (1, 2)]
    batcher.close()


def test_the_caller_works_while_the_networks_run() -> None:
    """What was given for meanwhile is done before the first batch ends, and also where there is nothing to run."""
    network = Doubling()
    batcher = Batcher(8, 1000, Metrics())
    batcher.run([reading(network, 1)], 5, network.gate.set)
    done = threading.Event()
    batcher.run([], 5, done.set)
    assert done.is_set()
    batcher.close()


def test_the_waiting_of_a_request_is_counted_once(network: Doubling) -> None:
    """A request of several batches has waited once: until its first."""
    metrics = Metrics()
    batcher = Batcher(4, 1000, metrics)
    batcher.run([reading(network, 1, 2, 3) for _ in range(5)], 5)
    assert metrics.registry.get_sample_value("quorum_ml_queue_seconds_count") == 1
    batcher.close()


def test_a_failure_stays_with_the_requests_of_its_batch(network: Doubling) -> None:
    """One request's failing batch is its own 500; the thread lives on and answers the next."""
    batcher = Batcher(2, 1000, Metrics())
    with pytest.raises(ApiError) as caught:
        batcher.run([reading(network, 666, 1)], 10)
    assert (caught.value.status, caught.value.code) == (500, "model_failed")
    after = reading(network, 1)
    batcher.run([after], 10)
    assert after.outputs["all"].tolist() == [2]
    batcher.close()


def test_too_much_waiting_is_refused_and_forgotten() -> None:
    """Above the limit a newcomer gets 429 with a time; one that gave up frees its place."""
    network = Doubling()
    batcher = Batcher(4, 10, Metrics())
    first = threading.Thread(target=batcher.run, args=([reading(network, 1, 1, 1, 1) for _ in range(2)], 30))
    first.start()
    assert network.began.wait(5)
    with pytest.raises(ApiError) as late:
        batcher.run([reading(network, 2, 2)], 0.05)
    assert late.value.status == 504
    with pytest.raises(ApiError) as busy:
        batcher.run([reading(network, 2) for _ in range(11)], 5)
    assert (busy.value.status, busy.value.retry_after) == (429, 1)
    network.gate.set()
    first.join(5)
    batcher.run([reading(network, 3)], 5)
    assert 2 not in network.order
    batcher.close()


def test_a_closed_batcher_finishes_what_it_has_and_refuses_the_rest() -> None:
    """At shutdown requests under way are answered, newcomers get 503."""
    network = Doubling()
    batcher = Batcher(4, 100, Metrics())
    readings = [reading(network, 1, 2), reading(network, 3)]
    running = threading.Thread(target=batcher.run, args=(readings, 10))
    running.start()
    assert network.began.wait(5)
    batcher.close()
    with pytest.raises(ApiError) as refused:
        batcher.run([reading(network, 4)], 5)
    assert refused.value.status == 503
    network.gate.set()
    running.join(5)
    assert [p.outputs["all"].tolist() for p in readings] == [[2, 4], [6]]


def test_a_bulk_is_not_starved_by_small_requests() -> None:
    """Every fourth batch is that of the job that waits longest, however many small ones stand beside it."""
    network = Doubling()
    batcher = Batcher(8, 100_000, Metrics())
    bulk = threading.Thread(target=batcher.run, args=([reading(network, *([9] * 8)) for _ in range(4)], 30))
    bulk.start()
    assert network.began.wait(5)
    others = [threading.Thread(target=batcher.run, args=([reading(network, *([1] * 7))], 30)) for _ in range(12)]
    for other in others:
        other.start()
    while len(batcher._jobs) < 13:
        time.sleep(0.001)
    network.gate.set()
    for thread in (bulk, *others):
        thread.join(10)
    assert network.order == [9, 1, 1, 9, 1, 1, 1, 9, 1, 1, 1, 9, 1, 1, 1, 1]
    batcher.close()


def test_while_networks_run_numpy_keeps_to_one_thread(network: Doubling) -> None:
    """Threads of numpy's products would spin on the cores that the network needs."""
    batcher = Batcher(8, 1000, Metrics())
    seen: list[int] = []

    def look(row: Any, window: Window) -> Any:
        seen.extend(one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas")
        return np.zeros(1, dtype=np.float32)

    batcher.run([WindowReading(network, Window(Tokens([1, 2])), {"look": look})], 10)
    assert seen
    assert set(seen) == {1}
    batcher.close()


def test_numpy_has_its_threads_back_once_the_last_lane_has_ended(network: Doubling) -> None:
    """Whoever goes on after the batcher computes with as many threads as before."""

    def threads() -> list[int]:
        return [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]

    before = threads()
    batcher = Batcher(8, 1000, Metrics(), lanes=3)
    batcher.run([reading(network, 1)], 10)
    batcher.close()
    for lane in [one for one in threading.enumerate() if one.name.startswith("lane-")]:
        lane.join(5)
    assert threads() == before
