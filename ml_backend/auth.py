"""Decides who may ask: a bearer token or basic credentials, compared in constant time."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """What a caller has to show; with neither, everybody on the machine may ask."""

    token: str | None = None
    basic: str | None = None

    @property
    def required(self) -> bool:
        """True if a caller has to show something."""
        return bool(self.token or self.basic)

    def accept(self, header: str | None) -> bool:
        """True if an Authorization header shows the right token or the right `user:password`.

        >>> Credentials(token="t").accept("Bearer t"), Credentials(token="t").accept("Bearer u")
        (True, False)
        """
        if not self.required:
            return True
        scheme, _, rest = (header or "").partition(" ")
        secret = rest.strip()
        # "Token" is how Label Studio's own clients call it.
        if scheme.lower() in {"bearer", "token"}:
            return self.token is not None and _same(secret, self.token)
        if scheme.lower() == "basic":
            return self._accept_basic(secret)
        return False

    def _accept_basic(self, secret: str) -> bool:
        try:
            plain = base64.b64decode(secret, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return False
        password = plain.partition(":")[2]
        by_basic = self.basic is not None and _same(plain, self.basic)
        # Both are compared in any case: an early return would let the time tell which of them matched.
        # Label Studio can send basic credentials only: there the token may be the password of any user name.
        by_token = self.token is not None and _same(password, self.token)
        return by_basic or by_token


def _same(secret: str, expected: str) -> bool:
    return hmac.compare_digest(secret.encode(), expected.encode())


def from_environment(environ: Mapping[str, str]) -> Credentials:
    """Read credentials from `QUORUM_ML_TOKEN` or `QUORUM_ML_BASIC` (`user:password`), or from the files that
    `QUORUM_ML_TOKEN_FILE` and `QUORUM_ML_BASIC_FILE` name.

    Raises:
        OSError: a named file can't be read.
        ValueError: `QUORUM_ML_BASIC` has no colon, or a named file is empty.
    """
    basic = _secret(environ, "QUORUM_ML_BASIC")
    if basic is not None and ":" not in basic:
        raise ValueError("QUORUM_ML_BASIC must be user:password")
    return Credentials(_secret(environ, "QUORUM_ML_TOKEN"), basic)


def _secret(environ: Mapping[str, str], name: str) -> str | None:
    if file := environ.get(f"{name}_FILE"):
        text = Path(file).read_text(encoding="utf-8").strip()
        # An empty file would mean an empty secret, which anybody can show.
        if not text:
            raise ValueError(f"{name}_FILE: {file} is empty")
        return text
    return environ.get(name) or None
