"""docs/interfaces.md says what the loader does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ls_config import InterfaceError, label_types, load, parse
from ls_config.interface import RESERVED

ROOT = Path(__file__).parents[3]
DOC = (ROOT / "docs" / "interfaces.md").read_text(encoding="utf-8")


def test_every_label_type_and_field_is_documented() -> None:
    """The table of label types names each type and each of its fields."""
    for name in label_types():
        assert f"| `{name}` |" in DOC
        for control in load(name).controls:
            assert f"`{control.name}`" in DOC


def test_every_reserved_name_and_kind_is_documented() -> None:
    """Reserved control names and all kinds of fields are in the tables."""
    for word in {*RESERVED, "choice", "choices", "spans", "rating", "number", "text", "boxes", "segments"}:
        assert f"`{word}`" in DOC


def test_the_quoted_fault_is_what_is_said() -> None:
    """The example of a fault is the loader's own words."""
    labels = '<Labels name="spots" toName="h"><Label value="A"/></Labels>'
    xml = "<View>" + "\n" * 5 + f'<HyperText name="h" value="$h"/>\n{labels}</View>'
    with pytest.raises(InterfaceError) as caught:
        parse(xml)
    assert f"my_task/label.xml: {caught.value.faults[0]}" in DOC


def test_every_picture_is_there_and_small() -> None:
    """Pictures that the page shows exist, and none in the folder is over 300 kB."""
    for picture in re.findall(r"\((screens/[^)]+)\)", DOC):
        assert (ROOT / "docs" / picture).is_file()
    for path in (ROOT / "docs" / "screens").glob("*.png"):
        assert path.stat().st_size < 300_000
