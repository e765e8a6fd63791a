"""The models file: what it may say, and that every fault is told with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_backend.auth import Credentials, from_environment
from ml_backend.config import DEFAULT_MODELS, parse_models, read_models
from ml_backend.errors import ConfigError, LoadError
from ml_backend.predictors.registry import KINDS, predictor_class
from ml_backend.sources import resolve, sha256_of
from review_rules.errors import MissingExtra

GOOD = """version: 1
active: one
models:
  one:
    controls:
      mood: {predictor: text_classification, source: 'path:mood'}
"""


def faults(text: str) -> list[tuple[int, str]]:
    """Line and path of each fault of a models file."""
    with pytest.raises(ConfigError) as caught:
        parse_models(text, Path("m.yaml"))
    return [(one.line, one.path) for one in caught.value.faults]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", [(1, "")], id="empty"),
        pytest.param("- a", [(1, "")], id="a list"),
        pytest.param("a: [", [(1, "")], id="broken YAML"),
        pytest.param(GOOD + "active: two\n", [(7, "")], id="a key twice"),
        pytest.param(GOOD.replace("active: one", "active: two"), [(2, "active")], id="active is no model"),
        pytest.param(GOOD.replace("version: 1", "version: 2"), [(1, "version")], id="unknown version"),
        pytest.param(
            GOOD.replace("text_classification", "magic"), [(6, "models.one.controls.mood.predictor")],
            id="unknown predictor",
        ),
        pytest.param(
            GOOD.replace("source:", "sorce:"),
            [(6, "models.one.controls.mood.source"), (6, "models.one.controls.mood.sorce")], id="misspelt key",
        ),
        pytest.param(GOOD + "limits: {tasks: many}\n", [(7, "limits.tasks")], id="wrong type"),
        pytest.param(
            GOOD.replace("'path:mood'", "'path:mood', threshold: 2"), [(6, "models.one.controls.mood.threshold")],
            id="out of range",
        ),
        pytest.param(
            GOOD + "  two:\n    controls:\n      mood: {predictor: encoder_head, encoder: e, head: 'path:x'}\n",
            [(9, "models.two.controls.mood.encoder")], id="unknown encoder",
        ),
    ],
)  # fmt: skip
def test_each_fault_is_told_with_its_line(text: str, expected: list[tuple[int, str]]) -> None:
    """A wrong file is refused with every fault, and nothing of it is used."""
    assert faults(text) == expected


def test_yaml_anchors_keep_a_second_model_short() -> None:
    """A model may take another's controls over and change one."""
    text = (
        GOOD.replace("controls:", "controls: &one")
        + "  two:\n    controls:\n      <<: *one\n      stars: {predictor: ordinal_rating, source: 'path:s'}\n"
    )
    models = parse_models(text, Path("m.yaml")).models
    assert sorted(models["two"].controls) == ["mood", "stars"]


def test_the_default_file_binds_every_field_that_there_is_data_for() -> None:
    """Each control that Quorum ships but `tone` has a default predictor, and the router is there."""
    from ls_config.interface import label_types, load

    model = read_models(DEFAULT_MODELS).models["default"]
    assert {c.name for kind in label_types() for c in load(kind).controls} - {"tone"} == set(model.controls)
    assert model.domain is not None


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_registered_kind_has_settings_and_a_loader(kind: str) -> None:
    """The registry names classes that exist; their modules import nothing heavy that may be missing."""
    found = predictor_class(kind)
    assert found.kinds
    assert callable(found.load)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("path:nothing", "nothing at"),
        ("package:no_such_package/x", "needs no_such_package; install it with: pip install no_such_package$"),
        ("package:ml_backend/no/file", "holds no"),
        ("hf:org/name", "name a revision"),
        ("ftp:x", "unknown source"),
    ],
)
def test_a_source_that_is_not_there_says_what_to_do(tmp_path: Path, source: str, said: str) -> None:
    """Every scheme refuses with a sentence."""
    with pytest.raises((LoadError, MissingExtra), match=said):
        resolve(source, tmp_path)


def test_a_folders_hash_follows_its_weights(tmp_path: Path) -> None:
    """Weights, configuration and tokenizer count; notes beside them do not."""
    (tmp_path / "model.safetensors").write_bytes(b"a")
    before = sha256_of(tmp_path)
    (tmp_path / "README.md").write_text("notes")
    assert sha256_of(tmp_path) == before
    (tmp_path / "config.json").write_text("{}")
    assert sha256_of(tmp_path) != before


def test_credentials_come_from_the_environment_or_a_file(tmp_path: Path) -> None:
    """A file keeps the secret out of the process's environment; an empty one is refused."""
    (tmp_path / "token").write_text("s3cret\n")
    found = from_environment({"QUORUM_ML_TOKEN_FILE": str(tmp_path / "token")})
    assert found.accept("Bearer s3cret")
    assert not found.accept(None)
    assert "s3cret" not in repr(found)
    (tmp_path / "token").write_text("\n")
    with pytest.raises(ValueError, match="empty"):
        from_environment({"QUORUM_ML_TOKEN_FILE": str(tmp_path / "token")})
    with pytest.raises(ValueError, match="user:password"):
        from_environment({"QUORUM_ML_BASIC": "nobody"})
    assert not from_environment({}).required


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("Basic dTpw", True),
        ("basic dTpw", True),
        ("Basic dTpx", False),
        ("Basic !", False),
        ("Bearer u:p", False),
        ("", False),
    ],
)
def test_basic_credentials(header: str, accepted: bool) -> None:
    """Only the right user and password pass, and broken headers are no."""
    assert Credentials(basic="u:p").accept(header) is accepted
