"""Windows-1252 or Windows-1250: the two share most bytes, and only the letters of languages tell them apart."""

from __future__ import annotations

import re
from collections import Counter

__all__ = ["fits_better"]

_ALPHABETS = {
    "cp1252": (
        "áâãàçéêíóôõúü",  # Portuguese
        "áéíñóúü¿¡ºª",  # Spanish
        "àâæçéèêëîïôœùûüÿ",  # French
        "äöüß",  # German
        "àèéìîòóù",  # Italian
        "áéëïíóöüèê",  # Dutch
        "åäöéàæøóòôâü",  # Swedish, Danish, Norwegian, Finnish
        "áðéíóúýþæö",  # Icelandic
        "àçèéíïòóúü·",  # Catalan
    ),
    "cp1250": (
        "áčďéěíňóřšťúůýž",  # Czech
        "áäčďéíĺľňóôŕšťúýž",  # Slovak
        "ąćęłńóśźż",  # Polish
        "áéíóöőúüű",  # Hungarian
        "ăâîşţșț",  # Romanian
        "čćđšž",  # Croatian, Slovene, Bosnian
        "ëç",  # Albanian
    ),
}

_IN_A_WORD = re.compile(r"(?<=[^\W\d_])[¹³£¥¯]|[¹³£¥¯](?=[^\W\d_])")
"""What Polish letters look like in Windows-1252."""


def fits_better(sample: bytes) -> str | None:
    """The one of the two under which the letters of a text are best those of one language; None where the bytes fit
    neither.

    Text without a letter that tells is read as Windows-1252, which more programs write.

    >>> fits_better("não, a situação".encode("cp1252")), fits_better("příliš žluťoučký".encode("cp1250"))
    ('cp1252', 'cp1250')
    """
    shares = {encoding: _share(sample, encoding) for encoding in _ALPHABETS}
    best = max(shares, key=lambda encoding: shares[encoding])  # the first of equals
    return best if shares[best] >= 0 else None


def _share(sample: bytes, encoding: str) -> float:
    """How many of the letters beyond ASCII the best language explains (0 to 1); below 0 where the bytes do not fit."""
    if any(byte in sample for byte in _undefined(encoding)):
        return -1
    text = sample.decode(encoding, "ignore").lower()
    odd = Counter(char for char in text if char > "\x7f" and char.isalpha())
    # Without another letter that tells, they may be footnotes.
    if odd:
        odd.update(_IN_A_WORD.findall(text))
    total = sum(odd.values())
    if not total:
        return 0
    return max(sum(odd[char] for char in alphabet) for alphabet in _ALPHABETS[encoding]) / total


def _undefined(encoding: str) -> list[int]:
    return [byte for byte in range(0x80, 0x100) if not bytes([byte]).decode(encoding, "ignore")]
