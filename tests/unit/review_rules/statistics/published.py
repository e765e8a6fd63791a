"""Published worked examples of agreement and aggregation, as printed."""

from __future__ import annotations

FOUR_BY_TWELVE = """
    1 2 3 3 2 1 4 1 2 . . .
    1 2 3 3 2 2 4 1 2 5 . 3
    . 3 3 3 2 3 4 2 2 5 1 .
    1 2 3 3 2 4 4 1 2 5 1 .
"""
"""Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), section C: 4 observers, 12 units.

The same data are `cac.raw4raters` of Gwet's irrCAC, whose manual prints AC1 and AC2 for them."""

THREE_BY_FIFTEEN = """
    . . . . . 3 4 1 2 1 1 3 3 . 3
    1 . 2 1 3 3 4 3 . . . . . . .
    . . 2 1 3 4 4 . 2 1 1 3 3 . 4
"""
"""Krippendorff's example of 3 coders and 15 units: nominal .691, interval .811."""

TWO_BY_TEN = """
    0 1 0 0 0 0 0 0 1 0
    1 1 1 0 0 1 0 0 0 0
"""
"""Krippendorff 2011, section A: 2 observers, 10 articles, binary: .095."""

TWO_BY_TWELVE = """
    a a b b d c c c e d d a
    b a b b b c c c e d d d
"""
"""Krippendorff 2011, section B: 2 observers, 12 units, nominal: .692."""

ABSTRACTORS = ((13, 0, 0), (0, 20, 7), (0, 4, 56))
"""Gwet's 100 charts by 2 abstractors (irrCAC `cont3x3abstractors`): kappa .7964094, AC1 .8493305, alpha .7972585."""

FLEISS = """
    0 0 0 6 0
    0 3 0 0 3
    0 1 4 0 1
    0 0 0 0 6
    0 3 0 3 0
    2 0 4 0 0
    0 0 4 0 2
    2 0 3 1 0
    2 0 0 4 0
    0 0 0 0 6
    1 0 0 5 0
    1 1 0 4 0
    0 3 3 0 0
    1 0 0 5 0
    0 2 0 3 1
    0 0 5 0 1
    3 0 0 1 2
    5 1 0 0 0
    0 2 0 4 0
    1 0 2 0 3
    0 0 0 0 6
    0 1 0 5 0
    0 2 0 1 3
    2 0 0 4 0
    1 0 0 4 1
    0 5 0 1 0
    4 0 0 0 2
    0 2 0 4 0
    1 0 5 0 0
    0 0 0 0 6
"""
"""Fleiss 1971, table 1: 30 patients, 6 psychiatrists each, how many gave which of 5 diagnoses: kappa .430."""

ANAESTHETISTS = """
    111 1 1 1 1, 333 4 3 3 4, 112 2 1 2 2, 222 3 1 2 1, 222 3 2 2 2, 222 3 3 2 2, 122 2 1 1 1, 333 3 4 3 3, 222 2 2 2 3,
    232 2 2 2 3, 444 4 4 4 4, 222 3 3 4 3, 111 1 1 1 1, 222 3 2 1 2, 121 1 1 1 1, 111 2 1 1 1, 111 1 1 1 1, 111 1 1 1 1,
    222 2 2 2 1, 222 1 3 2 2, 222 2 2 2 2, 222 2 2 2 1, 222 3 2 2 2, 221 2 2 2 2, 111 1 1 1 1, 111 1 1 1 1, 232 2 2 2 2,
    111 1 1 1 1, 111 1 1 1 1, 112 1 1 2 1, 111 1 1 1 1, 333 3 2 3 3, 111 1 1 1 1, 222 2 2 2 2, 222 3 2 3 2, 433 4 3 4 3,
    221 2 2 3 2, 232 3 2 3 3, 333 3 4 3 2, 111 1 1 1 1, 111 1 1 1 1, 121 2 1 1 1, 232 2 2 2 2, 121 1 1 1 1, 222 2 2 2 2
"""
"""Dawid and Skene 1979, table 1: 45 patients, 5 anaesthetists (the first three times), 4 classes."""


def by_rater(table: str) -> list[tuple[int, str, str]]:
    """Read a table of one row a rater; a dot is a missing rating."""
    rows = [line.split() for line in table.strip().splitlines()]
    return [
        (item, f"rater{who}", value) for who, row in enumerate(rows) for item, value in enumerate(row) if value != "."
    ]


def by_count(table: str) -> list[tuple[int, str, str]]:
    """Read a table of one row an item: how many raters gave which class."""
    votes = []
    for item, line in enumerate(table.strip().splitlines()):
        given = [f"class{place}" for place, number in enumerate(line.split()) for _ in range(int(number))]
        votes += [(item, f"rater{who}", value) for who, value in enumerate(given)]
    return votes


def crossed(table: tuple[tuple[int, ...], ...]) -> list[tuple[int, str, str]]:
    """Read a table of two raters: rows are the first's classes, columns the second's."""
    cells = [(str(a), str(b)) for a, row in enumerate(table) for b, number in enumerate(row) for _ in range(number)]
    return [
        (item, who, value) for item, pair in enumerate(cells) for who, value in zip(("one", "two"), pair, strict=True)
    ]


def anaesthetists() -> list[tuple[int, int, int]]:
    """Read Dawid and Skene's patients, with the first anaesthetist's three answers."""
    votes = []
    for patient, line in enumerate(ANAESTHETISTS.replace("\n", " ").split(","), start=1):
        for who, answers in enumerate(line.split(), start=1):
            votes += [(patient, who, int(answer)) for answer in answers]
    return votes
