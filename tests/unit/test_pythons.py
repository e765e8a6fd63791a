"""The versions of Python that are supported are the same ones everywhere that they are named."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[2]
SUPPORTED = ("3.11", "3.12", "3.13")
MINOR = re.compile(r"(?<![\d.])3\.\d+(?![\d.])")


@pytest.fixture
def project() -> dict[str, Any]:
    """The project's table of pyproject.toml."""
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return table


def text_of(file: str, pattern: str) -> str:
    """What the pattern's group matches in a file."""
    found = re.search(pattern, (ROOT / file).read_text(encoding="utf-8"), re.M)
    assert found is not None, (file, pattern)
    return found[1]


def test_the_package_takes_the_supported_pythons_and_no_other(project: dict[str, Any]) -> None:
    """pip refuses the versions before the first and after the last."""
    taken = SpecifierSet(project["requires-python"])
    assert [f"3.{minor}" for minor in range(20) if f"3.{minor}.9" in taken] == list(SUPPORTED)


def test_the_classifiers_name_them(project: dict[str, Any]) -> None:
    """An index shows the supported versions."""
    prefix = "Programming Language :: Python :: 3."
    assert [line.rpartition(" ")[2] for line in project["classifiers"] if line.startswith(prefix)] == list(SUPPORTED)


@pytest.mark.parametrize(
    ("file", "pattern"),
    [
        ("Makefile", r"^# Quorum: (.*), and make\.$"),
        ("Makefile", r"^PYTHONS := (.*)$"),
        (".ci/run", r"^for version in (.*); do$"),
        ("README.md", r"^On a machine with (Python .*) and make"),
        ("docs/ops.md", r"^(Python 3.*) are supported"),
    ],
)
def test_files_name_them(file: str, pattern: str) -> None:
    """The commands and the pages name every supported version and no other."""
    assert MINOR.findall(text_of(file, pattern)) == list(SUPPORTED)


@pytest.mark.parametrize("dockerfile", ["label-studio.Dockerfile", "ml.Dockerfile"])
def test_the_images_run_on_one_of_them(dockerfile: str) -> None:
    """The base image has a supported version."""
    assert text_of(f"docker/{dockerfile}", r"^FROM python:(3\.\d+)-") in SUPPORTED


@pytest.mark.parametrize("version", ["3.10", "3.14"])
def test_make_refuses_another_python(version: str, tmp_path: Path) -> None:
    """An interpreter that is too old or too new is refused in one line, and no folder is made."""
    python = tmp_path / "python"
    major, minor = version.split(".")
    python.write_text(f'#!/bin/sh\nshift\nexec python3 -c "import sys; sys.version_info = ({major}, {minor}); $1"\n')
    python.chmod(0o755)
    done = subprocess.run(
        ["make", "--no-print-directory", "setup", f"PYTHON={python}", f"VENV={tmp_path / 'venv'}"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert f"{python} is not Python 3.11, 3.12 or 3.13" in done.stderr
    assert not (tmp_path / "venv").exists()
