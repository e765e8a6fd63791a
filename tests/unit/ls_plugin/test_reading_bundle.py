"""The renderer of texts in the repository is the one that its sources make, with the licences of all that is in it."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

SCREEN = Path(__file__).parents[3] / "ls_plugin" / "screen"
BUILT = json.loads((SCREEN / "bundle" / "built.json").read_text("utf-8"))
BUNDLE = SCREEN / "files" / "markdown.js"


def test_the_bundle_is_what_its_sources_made() -> None:
    """A change of a source, of a package's version or of the bundle alone is seen: build it again."""
    now = {name: hashlib.sha256((SCREEN / "bundle" / name).read_bytes()).hexdigest() for name in BUILT["files"]}
    assert now == BUILT["files"]
    assert (SCREEN / "bundle" / "../files/markdown.js").resolve() == BUNDLE


def test_every_package_in_it_has_its_licence_beside_it() -> None:
    """Who hands the bundle on hands on the licences of all that is in it."""
    heads = re.findall(r"^(\S+) (\d\S*) \((MIT|BSD-3-Clause)\)\n\n\S", licences(), flags=re.MULTILINE)
    assert {name: version for name, version, _ in heads} == BUILT["packages"]


def test_the_versions_are_pinned() -> None:
    """Two builds of the same sources are the same."""
    wanted = json.loads((SCREEN / "bundle" / "package.json").read_text("utf-8"))
    versions = {**wanted["dependencies"], **wanted["devDependencies"]}
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions.values())


def test_the_bundle_needs_no_code_from_strings() -> None:
    """Label Studio's pages allow none."""
    assert not re.search(r"\beval\(|new Function\b", BUNDLE.read_text("utf-8"))


def licences() -> str:
    return (SCREEN / "files" / "markdown.LICENSES.txt").read_text("utf-8")
