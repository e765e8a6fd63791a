"""The former address of :mod:`ls_plugin.queue.reconcile`, kept for one release.

A job that an earlier version put into the Redis queue names its function by this address.
"""

from ls_plugin.queue.reconcile import reconcile_row

__all__ = ["reconcile_row"]
