"""The tables of samplers and pruners: each runs, and each option that a file can set is checked."""

import importlib.util
import json
import warnings
from typing import Any

import optuna
import pytest
from studies import GRID, flat, run, score

from hpo.config.experiment import Experiment, Named
from hpo.config.space import SearchSpace
from hpo.config.yaml_file import Document, read_yaml
from hpo.errors import FileMistakes
from hpo.plan.plan import load_plan
from hpo.study.samplers import PRUNERS, SAMPLERS, derive_seed, make_pruner, make_sampler, option_mistakes


def key(config):
    return json.dumps(config, sort_keys=True)


def mistakes(**study):
    data = {"name": "s", "dataset": "digits", "search_space": "mlp", "objective": "val_accuracy", "study": study}
    document = Document("f", data)
    return [str(document.mistake(key, message)) for key, message in option_mistakes(Experiment.model_validate(data))]


# Samplers


@pytest.mark.parametrize(("sampler", "trials"), [("random", 4), ("tpe", 10), ("cmaes", 10), ("qmc", 6), ("nsga2", 5)])
def test_a_study_on_a_conditional_space_goes_on_where_it_was(sampler, trials, tmp_path):
    options: dict[str, Any] = {"nsga2": {"population_size": 3}, "tpe": {"n_startup_trials": 4}, "cmaes": {"popsize": 4}}
    spec: dict[str, Any] = {"sampler": {"name": sampler, **options.get(sampler, {})}}

    def proposed(folder, *totals):
        (tmp_path / folder).mkdir()
        for total in totals:
            ran = run(f"sqlite:///{tmp_path / folder}/o.db", lambda job: [score(job.params)], trials=total, **spec)
        assert [trial.state for trial in ran.trials] == ["complete"] * trials
        return ran.configs

    whole = proposed("whole", trials)
    assert len(set(map(key, whole))) == trials
    assert any("momentum" in config for config in whole)
    assert any("momentum" not in config for config in whole)
    assert proposed("parts", trials // 2 - 1, trials - 1, trials) == whole


def test_random_proposes_the_same_whatever_runs_beside_it(tmp_path):
    one = run(f"sqlite:///{tmp_path}/one.db", flat, trials=6)
    three = run(f"sqlite:///{tmp_path}/three.db", lambda job: [0.5] * (3 - job.trial % 3), workers=3, trials=6)
    assert [trial.number for trial in three.log.ended] != list(range(6))
    assert three.configs == one.configs
    assert [trial.seed for trial in three.trials] == [trial.seed for trial in one.trials]
    other = run(f"sqlite:///{tmp_path}/other.db", flat, trials=6, seed=1)
    assert not set(map(key, other.configs)) & set(map(key, one.configs))


def test_qmc_is_optunas_own_sequence(tmp_path):
    space = {
        "model": "mlp",
        "parameters": {name: {"type": "float", "low": 0.0, "high": 1.0} for name in ("a", "b")},
    }
    url = f"sqlite:///{tmp_path}/o.db"
    run(url, flat, trials=3, sampler="qmc", space=space)
    ours = run(url, flat, trials=7, sampler="qmc", space=space).configs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = optuna.create_study(sampler=optuna.samplers.QMCSampler(seed=0))
    study.optimize(lambda trial: trial.suggest_float("a", 0, 1) + trial.suggest_float("b", 0, 1), n_trials=7)
    # The first is drawn independently, to see the space.
    assert ours[1:] == [trial.params for trial in study.trials][1:]


def test_cmaes_keeps_its_generations_over_a_resume(tmp_path):
    url = f"sqlite:///{tmp_path}/o.db"
    for total in (5, 9, 13):
        run(url, lambda job: [score(job.params)], trials=total, sampler={"name": "cmaes", "popsize": 4})
    trials = optuna.load_study(study_name="s", storage=url).trials
    generations = [trial.system_attrs.get("cma:generation") for trial in trials]
    assert generations == [None, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]


def test_grid_runs_each_configuration_once_over_interruptions_and_ends(tmp_path):
    url = f"sqlite:///{tmp_path}/o.db"
    first = run(url, flat, sampler="grid", trials=5, workers=2, space=GRID)
    assert len(first.trials) == 5
    whole = run(url, flat, sampler="grid", workers=3, space=GRID)
    assert whole.ending == "done"
    assert sorted(map(key, whole.configs)) == sorted(map(key, SearchSpace.model_validate(GRID).configurations()))
    assert len(whole.configs) == 16
    assert run(url, flat, sampler="grid", space=GRID).engine.jobs == []


def test_grid_does_not_repeat_what_was_enqueued(tmp_path):
    config = {"depth": 2, "widths": [8, 4], "optimizer": "adam"}
    ran = run(f"sqlite:///{tmp_path}/o.db", flat, sampler="grid", enqueue=[config], space=GRID)
    assert ran.configs[0] == {**config, "activation": "relu"}
    assert len(ran.configs) == len(set(map(key, ran.configs))) == 16


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="PyTorch is installed")
def test_gp_says_how_to_install_what_it_needs():
    assert mistakes(sampler="gp") == ["f: study.sampler: sampler gp needs PyTorch: python3 -m pip install torch"]


def test_seeds_differ_by_study_and_number_and_are_numpys():
    seeds = {derive_seed(seed, number) for seed in (0, 1, 2**32 - 1) for number in range(100)}
    assert len(seeds) == 300
    assert derive_seed(0, 1) == derive_seed(0, 1) != derive_seed(1, 0)
    assert all(0 <= seed < 2**32 for seed in seeds)


# Options


@pytest.mark.parametrize(
    ("study", "expected"),
    [
        ({"sampler": "tpee"}, "study.sampler: unknown sampler 'tpee'; did you mean tpe?"),
        ({"pruner": "medain"}, "study.pruner: unknown pruner 'medain'; did you mean median?"),
        (
            {"sampler": {"name": "tpe", "n_startup_trial": 5}},
            "study.sampler.n_startup_trial: tpe has no option 'n_startup_trial'; did you mean n_startup_trials?",
        ),
        (
            {"sampler": {"name": "random", "seed": 5}},
            "study.sampler.seed: random has no option 'seed'; it has none",
        ),
        (
            {"sampler": {"name": "grid", "search_space": {}}},
            "study.sampler.search_space: grid has no option 'search_space'; it has none",
        ),
        (
            {"sampler": {"name": "tpe", "gamma": "my_gamma"}},
            "study.sampler.gamma: tpe has no option 'gamma'; valid: consider_prior, ",
        ),
        (
            {"sampler": {"name": "tpe", "n_startup_trials": "ten"}},
            "study.sampler.n_startup_trials: must be a whole number, got 'ten'",
        ),
        (
            {"sampler": {"name": "tpe", "multivariate": 1}},
            "study.sampler.multivariate: must be true or false or null, got 1",
        ),
        ({"sampler": {"name": "nsga2", "population_size": 1}}, "study.sampler: nsga2: "),
        ({"sampler": {"name": "qmc", "qmc_type": "sobel"}}, "study.sampler: qmc: The `qmc_type='sobel'` is invalid"),
        (
            {"pruner": {"name": "median", "n_warmup_steps": True}},
            "study.pruner.n_warmup_steps: must be a whole number, got true",
        ),
        ({"pruner": "percentile"}, "study.pruner: percentile: "),
        ({"pruner": {"name": "percentile", "percentile": 120}}, "study.pruner: percentile: Percentile must be between"),
        ({"pruner": "threshold"}, "study.pruner: threshold: Either lower or upper must be specified"),
        ({"pruner": "patient"}, "study.pruner: patient: "),
        ({"pruner": {"name": "hyperband", "max_resource": "all"}}, "study.pruner: hyperband: "),
        (
            {"pruner": {"name": "patient", "patience": 2, "wrapped_pruner": "medain"}},
            "study.pruner.wrapped_pruner: unknown pruner 'medain'; did you mean median?",
        ),
        (
            {"pruner": {"name": "patient", "patience": 2, "wrapped_pruner": {"name": "median", "n_warmup": 1}}},
            "study.pruner.wrapped_pruner.n_warmup: median has no option 'n_warmup'; did you mean n_warmup_steps?",
        ),
        (
            {"pruner": {"name": "patient", "patience": 2, "wrapped_pruner": [1]}},
            "study.pruner.wrapped_pruner: must be a pruner: a name, or a mapping with a name, got [1]",
        ),
        (
            {"schedule": "one_pass", "until": "worthwhile"},
            "study.until: schedule one_pass has no model that expects a gain: write schedule: gp_asha",
        ),
        ({"min_gain": 0.1}, "study.min_gain: min_gain says when until: worthwhile ends a study"),
    ],
)
def test_a_mistake_in_an_option(study, expected):
    (found,) = mistakes(**study)
    assert found.startswith(f"f: {expected}")


def test_mistakes_of_both_come_together_with_their_lines(tmp_path):
    path = tmp_path / "e.yaml"
    path.write_text(
        "name: s\ndataset: digits\nsearch_space: {model: mlp, parameters: {depth: {type: int, low: 1, high: 2}}}\n"
        "objective: val_accuracy\nstudy:\n  sampler: {name: tpe, n_startup: 3}\n  pruner:\n"
        "    name: hyperband\n    min_resourse: 1\n"
    )
    assert read_yaml(path).data["study"]["sampler"]["n_startup"] == 3
    with pytest.raises(FileMistakes) as caught:
        load_plan(path)
    assert str(caught.value).splitlines() == [
        f"{path}:6: study.sampler.n_startup: tpe has no option 'n_startup'; did you mean n_startup_trials?",
        f"{path}:9: study.pruner.min_resourse: hyperband has no option 'min_resourse'; did you mean min_resource?",
    ]


def test_all_names_are_free_of_mistakes():
    needed: dict[str, Any] = {"percentile": {"percentile": 25.0}, "threshold": {"lower": 0}, "patient": {"patience": 1}}
    assert mistakes(sampler={"name": "tpe", "n_ei_candidates": 2, "constant_liar": False}) == []
    for name in SAMPLERS.keys() - {"gp"}:
        assert mistakes(sampler=name) == []
    for name in PRUNERS:
        assert mistakes(pruner={"name": name, **needed.get(name, {})}) == []


def test_options_reach_optuna():
    def named(name: str, **options: Any) -> Any:
        return Named.model_validate({"name": name, **options})

    assert vars(make_sampler(named("tpe", n_startup_trials=3), 0, 0))["_n_startup_trials"] == 3
    assert vars(make_pruner(named("hyperband"), 27))["_max_resource"] == 27
    assert vars(make_pruner(named("hyperband", max_resource=9), 27))["_max_resource"] == 9
    patient = make_pruner(named("patient", patience=2, wrapped_pruner="median"), 5)
    assert isinstance(vars(patient)["_wrapped_pruner"], optuna.pruners.MedianPruner)


# Pruners: the same verdicts as plain Optuna gives on the same curves

CURVES = [[0.1 * trial % 0.7, 0.2 + 0.3 * (trial % 3), 0.1 * (trial % 5), 0.4, 0.9 - 0.1 * trial] for trial in range(9)]


@pytest.mark.parametrize(
    ("pruner", "plain"),
    [
        ("none", optuna.pruners.NopPruner),
        ({"name": "median", "n_startup_trials": 2}, lambda: optuna.pruners.MedianPruner(2)),
        (
            {"name": "percentile", "percentile": 70.0, "n_startup_trials": 1},
            lambda: optuna.pruners.PercentilePruner(70.0, n_startup_trials=1),
        ),
        (
            {"name": "successive_halving", "min_resource": 1, "reduction_factor": 2},
            lambda: optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2),
        ),
        (
            {"name": "hyperband", "reduction_factor": 2},
            lambda: optuna.pruners.HyperbandPruner(reduction_factor=2, max_resource=5),
        ),
        ({"name": "threshold", "lower": 0.15}, lambda: optuna.pruners.ThresholdPruner(lower=0.15)),
        (
            {"name": "patient", "patience": 1, "wrapped_pruner": {"name": "median", "n_startup_trials": 1}},
            lambda: optuna.pruners.PatientPruner(optuna.pruners.MedianPruner(1), patience=1),
        ),
    ],
    ids=lambda value: "" if callable(value) else value if isinstance(value, str) else value["name"],
)
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_pruner_stops_what_plain_optuna_would_stop(pruner, plain, tmp_path):
    ran = run(f"sqlite:///{tmp_path}/o.db", lambda job: CURVES[job.trial], pruner=pruner, trials=9, epochs=5)

    def objective(trial):
        curve = CURVES[trial.number]
        for epoch, value in enumerate(curve, 1):
            trial.report(value, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return max(curve)

    study = optuna.create_study(study_name="s", direction="maximize", pruner=plain())
    study.optimize(objective, n_trials=9)
    expected = [(trial.state.name.lower(), len(trial.intermediate_values)) for trial in study.trials]
    assert [(trial.state, trial.epochs) for trial in ran.trials] == expected
    pruned = [state for state, _ in expected].count("pruned")
    assert pruned == 0 if pruner == "none" else pruned > 0
