"""Addresses of stores that refer to environment variables."""

from pathlib import Path

import pytest
from tiny import tiny

from hpo.errors import FileMistakes, UserError
from hpo.plan.plan import load_plan
from hpo.system.environment import resolved
from hpo.system.home import storage_url, tracking_address
from hpo.text.credentials import hidden


@pytest.fixture(autouse=True)
def _variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WHOLE": "postgresql://me:a%40b@h/d", "ODD_PW": "p@/:%ssword", "PLACE": "h:5"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NOT_SET", raising=False)


@pytest.mark.parametrize(
    ("address", "is_"),
    [
        ("${WHOLE}", "postgresql://me:a%40b@h/d"),
        ("postgresql://me:${ODD_PW}@${PLACE}/d", "postgresql://me:p%40%2F%3A%25ssword@h:5/d"),
        ("http://${PLACE}", "http://h:5"),
        ("sqlite:///a.db", "sqlite:///a.db"),
        ("sqlite:///$PLACE", "sqlite:///$PLACE"),
    ],
)
def test_references_are_replaced_and_passwords_escaped(address: str, is_: str) -> None:
    assert resolved(address) == is_


def test_a_file_refers_to_a_password_that_no_text_then_shows(tmp_path: Path) -> None:
    stores = {"study": {"storage": "postgresql://me:${ODD_PW}@h/d"}, "tracking": "${WHOLE}"}
    plan = load_plan({**tiny(), **stores}, home=tmp_path)
    assert plan.storage == "postgresql://me:p%40%2F%3A%25ssword@h/d"
    assert plan.tracking_uri == "postgresql://me:a%40b@h/d"
    assert hidden("connected with p@/:%ssword") == "connected with ***"
    assert "ODD_PW" not in plan.files["experiment"]


def test_variables_that_are_not_set_are_all_named(tmp_path: Path) -> None:
    stores = {"study": {"storage": "${NOT_SET}"}, "tracking": "http://${NOT_SET}:${PLACE}"}
    with pytest.raises(FileMistakes) as caught:
        load_plan({**tiny(), **stores}, home=tmp_path)
    assert [str(mistake) for mistake in caught.value.mistakes] == [
        "experiment: study.storage: ${NOT_SET}: the environment variable NOT_SET is not set",
        "experiment: tracking.uri: ${NOT_SET}: the environment variable NOT_SET is not set",
    ]


def test_commands_read_references_in_options_and_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert storage_url("postgresql://me:${ODD_PW}@h/d", tmp_path) == "postgresql://me:p%40%2F%3A%25ssword@h/d"
    monkeypatch.setenv("HPO_STORAGE", "postgresql://me:${ODD_PW}@${PLACE}/d")
    assert storage_url(None, tmp_path) == "postgresql://me:p%40%2F%3A%25ssword@h:5/d"
    monkeypatch.setenv("HPO_TRACKING_URI", "http://me:secret@${NOT_SET}")
    with pytest.raises(
        UserError, match=r"^tracking URI http://.*: the environment variable NOT_SET is not set"
    ) as caught:
        tracking_address(None, tmp_path)
    assert "secret" not in str(caught.value)
