"""Shares of rows, chosen by a hash of the row id alone, so that every machine chooses the same rows."""

from __future__ import annotations

from hashlib import sha256


def in_share(row_id: str, share: float, purpose: str) -> bool:
    """Whether a row falls into a share (0..1) drawn for one purpose.

    The purpose is hashed too: rows drawn for QA and rows labelled without the auto-label are drawn independently.

    >>> in_share("r1", 0.0, "qa"), in_share("r1", 1.0, "qa")
    (False, True)
    """
    if share <= 0:
        return False
    digest = sha256(f"{purpose}\0{row_id}".encode("utf-8", "surrogatepass")).digest()
    # Eight bytes are as fine as a double can tell shares apart.
    return int.from_bytes(digest[:8]) < share * 2**64
