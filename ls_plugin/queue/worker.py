"""Label Studio's RQ worker, made quick for what follows a submission.

RQ's own worker forks for each job. A fork of Label Studio opens a connection to the database, warms Django up and
copies the pages of memory that it touches: several times the work of the reconcile itself. So the rows of a campaign
are reconciled by the worker process, which keeps its connection and what it has read of policy and team; for every
other job, Label Studio's own, it forks as before.

``manage.py rqworker`` takes this class by itself: the settings name it.
"""

from __future__ import annotations

import logging
import signal
from typing import Any

from core.current_request import CurrentContext
from django.db import DatabaseError, connections
from rq import Worker
from rq.defaults import DEFAULT_WORKER_TTL
from rq.job import Job
from rq.queue import Queue
from rq.worker import WorkerStatus

from ls_plugin.queue import reconcile

_log = logging.getLogger(__name__)
# The job by its name; a version before this one has queued it under the second.
_RECONCILES = ("ls_plugin.queue.reconcile.reconcile_row", "ls_plugin.jobs.reconcile_row")


class RowWorker(Worker):
    """Runs :func:`ls_plugin.queue.reconcile.reconcile_row` itself and forks for anything else."""

    def bootstrap(self, *args: Any, **kwargs: Any) -> None:
        """Before the first job: read what every job would read anew, and finish what a worker that died has left."""
        super().bootstrap(*args, **kwargs)
        try:
            reconcile.drain_all()
        except DatabaseError as error:
            # As RQ's own worker, this one waits for jobs also while the database is away.
            _log.warning("Quorum: rows that wait for a reconcile stay as they are, the database says: %s", error)
        self._forget()

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Do a job: here if it is the reconcile of a row."""
        if not _is_ours(job):
            # A forked process must not go on with its parent's connections.
            connections.close_all()
            super().execute_job(job, queue)
            return
        self._check_connections()
        self.prepare_execution(job)
        self.perform_job(job, queue)
        self.set_state(WorkerStatus.IDLE)
        self._forget()

    def get_heartbeat_ttl(self, job: Job) -> int:
        """Seconds after which a worker that gives no sign counts as gone: while it runs a job itself it gives none."""
        if not _is_ours(job):
            return super().get_heartbeat_ttl(job)
        return int(job.timeout or DEFAULT_WORKER_TTL) + 60

    def kill_horse(self, sig: signal.Signals = signal.SIGKILL) -> None:
        """Stop the job at work; one that runs here is a matter of milliseconds and ends by itself."""
        if self.horse_pid:
            super().kill_horse(sig)

    @staticmethod
    def _check_connections() -> None:
        """A connection that the database has closed meanwhile is opened again."""
        for connection in connections.all(initialized_only=True):
            if connection.connection is not None and not connection.is_usable():
                connection.close()

    @staticmethod
    def _forget() -> None:
        """No job sees in whose name the one before it ran."""
        CurrentContext.clear()


def _is_ours(job: Job) -> bool:
    return job.func_name in _RECONCILES
