"""What is kept of an experiment: its file without stores and credentials, and else as it was written."""

import pytest

from hpo.config.redacted import kept_experiment, kept_text

SECRET = "s3cret/with:signs"

BLOCK = """\
# The first line.
name: x   # a name
study:
  trials: 3
  # Where it is stored.
  storage: postgresql://me:hush-hush@host/db  # mine
  seed: 1

tracking:
  # a comment
  uri: http://me:hush-hush@host:5000

training: {epochs: 2}
"""
BLOCK_KEPT = """\
# The first line.
name: x   # a name
study:
  trials: 3
  # Where it is stored.
  seed: 1


training: {epochs: 2}
"""


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (BLOCK, BLOCK_KEPT),
        ("name: x\nstudy: {storage: 'postgresql://h/d', trials: 3}\n", "name: x\nstudy: {trials: 3}\n"),
        ("name: x\nstudy: {trials: 3, storage: postgresql://h/d}\n", "name: x\nstudy: {trials: 3}\n"),
        ("name: x\nstudy:\n  storage: >-\n    postgresql://h/d\ntraining: {}\n", "name: x\ntraining: {}\n"),
        ("name: x\nstudy: {\n storage: sqlite:///a.db,\n trials: 3}\n", "name: x\nstudy: {\n trials: 3}\n"),
        ('{"name": "x", "tracking": "http://h", "study": {"storage": "a"}}', '{"name": "x"}'),
        ("tracking: http://h:5000\nname: x", "name: x"),
        ("name: x\ntracking: http://h:5000", "name: x\n"),
        # An anchor that something else refers to: the values stay, the comments do not.
        ("# c\nname: x\ntracking: &u http://h\ndataset: {name: *u}\n", "dataset: {name: http://h}\nname: x\n"),
        ("name: x # see https://me:hush-hush@h/p?token=abcdef\n", "name: x # see https://me:***@h/p?token=***\n"),
        ("# tracking: http://me:hush-hush@h\nname: x\n", "# tracking: http://me:***@h\nname: x\n"),
    ],
)
def test_stores_and_credentials_are_left_out_of_the_file(text: str, kept: str) -> None:
    assert kept_text(text) == kept
    assert kept_text(kept) == kept


@pytest.mark.parametrize(
    ("assignment", "kept"),
    [
        ("study.storage=postgresql://me:hush-hush@h/d", None),
        ("tracking.uri=http://me:hush-hush@h", None),
        ("tracking=http://me:hush-hush@h", None),
        (" study . storage=x", None),
        ("study={storage: 'postgresql://me:hush-hush@h/d', trials: 3}", 'study={"trials": 3}'),
        ("study={storage: a}", None),
        ("study.trials=3", "study.trials=3"),
        ("dataset.path=https://me:hush-hush@h/d.csv", "dataset.path=https://me:***@h/d.csv"),
    ],
)
def test_overrides_of_stores_are_not_kept(assignment: str, kept: str | None) -> None:
    text = kept_text("name: x\n", [assignment])
    assert text == "name: x\n" + ("" if kept is None else f"# overridden by --set {kept}\n")
    assert kept_text(text) == text


def test_the_values_are_kept_without_stores_and_credentials() -> None:
    study = {"storage": f"postgresql://me:{SECRET}@h/d", "trials": 3}
    kept = kept_experiment(
        {"name": "x", "study": study, "tracking": {"uri": "http://h"}, "dataset": {"path": f"https://me:{SECRET}@h/x"}}
    )
    assert kept == {"name": "x", "study": {"trials": 3}, "dataset": {"path": "https://me:***@h/x"}}
