import os
from pathlib import Path

import pytest
from optuna.trial import FixedTrial
from parsed import parse_experiment, parse_space

import hpo
from hpo.config.space import SearchSpace
from hpo.config.yaml_file import read_yaml
from hpo.data.known import CLASS_NAMES

ROOT = Path(__file__).parent.parent
EXPERIMENTS = sorted((ROOT / "experiments").glob("*.yaml"))
SHARED = Path(os.environ.get("HPO_DATA") or ROOT.parent / "shared" / "datasets")
SPACES = sorted((ROOT / "search_spaces").glob("*.yaml"))


def space_of(experiment_file: Path) -> SearchSpace:
    document = read_yaml(experiment_file)
    experiment = parse_experiment(document)
    if isinstance(experiment.search_space, str):
        document = read_yaml(ROOT / "search_spaces" / f"{experiment.search_space}.yaml")
        return parse_space(document, experiment.training, experiment.dataset)
    return parse_space(document.below("search_space"), experiment.training, experiment.dataset)


def test_which_files_are_shipped():
    assert {"digits_mlp", "mnist_mlp"} <= {path.stem for path in EXPERIMENTS}
    assert {"mlp", "mlp_layers", "optimizers", "cnn"} <= {path.stem for path in SPACES}


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_experiments(path):
    space = space_of(path)
    for config in parse_experiment(read_yaml(path)).study.enqueue:
        assert space.complaints(config) == {}
        # Nothing is left to a sampler.
        assert set(space.suggest(FixedTrial(space.to_optuna(config)))) >= set(config)


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_search_spaces(path):
    space = parse_space(read_yaml(path))
    for config in space.extremes():
        assert space.complaints(config) == {}


@pytest.mark.parametrize("path", [*EXPERIMENTS, *SPACES], ids=lambda path: path.stem)
def test_the_first_line_names_a_schema_that_exists(path):
    first = path.read_text(encoding="utf-8").splitlines()[0]
    prefix, _, schema = first.partition("$schema=")
    assert prefix == "# yaml-language-server: "
    assert (path.parent / schema).resolve().is_file()
    assert Path(schema).stem.startswith("experiment" if path in EXPERIMENTS else "search-space")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_experiments_run_in_small(path, home, monkeypatch):
    dataset = parse_experiment(read_yaml(path)).dataset.name
    if dataset in CLASS_NAMES:
        if not (SHARED / dataset.replace("_", "-")).is_dir():
            pytest.skip(f"{SHARED} has no {dataset}; set HPO_DATA")
        monkeypatch.setenv("HPO_DATA", str(SHARED))
    small = ["dataset.limit=500", "study.trials=1", "training.epochs=1", "engine=serial"]
    result = hpo.run(path, overrides=small, home=home)
    (trial,) = result.trials
    assert (trial.state, trial.failure, trial.epochs) == ("complete", None, 1)
    assert trial.test
