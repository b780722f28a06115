"""requirements.lock, which CI installs, holds what pyproject.toml asks for."""

import re
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tiny import ROOT

LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
MADE_BY = (
    "uv pip compile --universal --python-version 3.11 --generate-hashes --extra test --extra docs --no-annotate "
    "pyproject.toml"
)


def test_the_lock_satisfies_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pinned: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", LOCK, flags=re.M):
        pinned.setdefault(canonicalize_name(name), []).append(version)
    lacking = []
    extras = project["optional-dependencies"]
    for asked in map(Requirement, (*project["dependencies"], *extras["test"], *extras["docs"])):
        versions = pinned.get(canonicalize_name(asked.name), [])
        if not versions or not all(map(asked.specifier.contains, versions)):
            lacking.append(f"{asked}: locked {versions}")
    assert not lacking, f"make requirements.lock again: {MADE_BY} -o requirements.lock"


def test_every_locked_version_has_its_hash_and_names_no_registry() -> None:
    pins = re.split(r"^(?=\w)", LOCK, flags=re.M)[1:]
    assert [pin.splitlines()[0] for pin in pins if "--hash=sha256:" not in pin] == []
    assert MADE_BY in LOCK
    assert "://" not in LOCK
