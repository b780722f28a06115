"""Confirming with a split of its own for each seed: real Keras runs, killed and continued, beside the usual ones."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris
from tiny import tiny

import hpo
from hpo.config.experiment import DatasetSpec
from hpo.data.prepared_variants import PreparedVariants, Variants, redrawn
from hpo.errors import DataError, UserError
from hpo.study.read import confirming_runs, read_study
from hpo.study.record import TrialRecord


def test_each_seed_has_its_split_also_after_a_kill(tmp_path: Path) -> None:
    home, url = tmp_path / "home", f"sqlite:///{tmp_path / 'home' / 'optuna.db'}"
    hpo.run(tiny(study={"trials": 2, "pruner": "none"}), home=home)
    usual = hpo.confirm("tiny", 2, 2, home=home).confirmation
    options = ("tiny", "--top", "2", "--seeds", "3", "--splits", "--workers", "1", "--home", str(home))
    killed = subprocess.Popen([sys.executable, "-m", "hpo", "confirm", *options], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while time.monotonic() < until and not any(_split(run) for run in confirming_runs(url, "tiny")):
        time.sleep(0.2)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    before = [run for run in confirming_runs(url, "tiny") if run.state == "complete"]
    found = hpo.confirm("tiny", 2, 3, splits=True, home=home).confirmation
    runs = [run for run in confirming_runs(url, "tiny") if run.state == "complete"]
    assert runs[: len(before)] == before
    own = [run for run in runs if _split(run)]
    assert (len(runs) - len(own), len(own), found.splits, usual.splits) == (4, 6, True, False)
    # A seed and its split are the same for all finalists, and are what the run was trained with.
    assert len({(run.confirms.ordinal, run.seed) for run in own if run.confirms}) == 3
    assert {_split(run) for run in own}.isdisjoint(run.seed for run in runs if not _split(run))
    for run in own:
        assert run.resolved is not None
        assert run.resolved.dataset["validation"]["seed"] == _split(run) == run.seed
    assert all(set(one.values) == {run.seed for run in own} for one in found.finalists)
    # The other confirmation is there as it was, and trains nothing.
    again = hpo.confirm("tiny", 2, 2, home=home)
    assert (again.trained, again.confirmation.finalists) == (0, usual.finalists)
    assert again.confirmation.other_looks == found.looks
    assert read_study(url, "tiny").confirmation == again.confirmation


def _split(run: TrialRecord) -> int | None:
    return run.confirms.split if run.confirms else None


def test_folds_are_redrawn_and_a_given_validation_part_is_refused(tmp_path: Path) -> None:
    spec = DatasetSpec.model_validate({"name": "iris", "validation": {"folds": 3}})
    variants = Variants(spec, [])
    PreparedVariants(variants, tmp_path / "folds").check_redrawn(1)
    one, other = variants.base, variants.dataset(redrawn(spec, 1))
    assert one.info.digests["test"] == other.info.digests["test"]
    pairs = zip(one.folds, other.folds, strict=True)
    assert all(a.info.digests["validation"] != b.info.digests["validation"] for a, b in pairs)

    x, y = load_iris(return_X_y=True)
    file = tmp_path / "given.npz"
    np.savez(file, x_train=x[::2], y_train=y[::2], x_val=x[1::2], y_val=y[1::2])
    experiment = tiny(dataset={"path": str(file)}, study={"trials": 1})
    with pytest.raises(DataError, match=r"the split of .* into training and validation is fixed"):
        PreparedVariants(Variants(DatasetSpec(path=str(file)), []), tmp_path / "given").check_redrawn(1)
    hpo.run(experiment, home=tmp_path / "home")
    with pytest.raises(UserError, match=r"splits: the split of .* is fixed: .*; confirm without splits"):
        hpo.confirm("tiny", 1, 2, splits=True, home=tmp_path / "home")
    assert confirming_runs(f"sqlite:///{tmp_path / 'home' / 'optuna.db'}", "tiny") == []
