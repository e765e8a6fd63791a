"""Draws that nobody outside the server can foretell: by a hash with the server's own secret."""

from __future__ import annotations

import hmac

from django.conf import settings


def draw(*parts: object) -> float:
    """A number from 0 to 1 for these parts; the same on every call, and as good as random for any others."""
    text = "\0".join(map(str, parts))
    digest = hmac.digest(settings.SECRET_KEY.encode(), text.encode("utf-8", "surrogatepass"), "sha256")
    return int.from_bytes(digest[:6]) / 2**48
