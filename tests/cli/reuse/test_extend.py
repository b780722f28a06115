"""Extending a study and warm-starting one: real Optuna, scripted training, the data of iris."""

import json
import shutil
from pathlib import Path
from typing import Any

import optuna
import pytest
from studies import Ran, run_plan, score
from tiny import tiny
from typer.testing import CliRunner

from hpo.cli.commands import app
from hpo.cli.reuse.extend import Options, extend, warm_start
from hpo.engines.scripted import ScriptedEngine
from hpo.errors import NotFound, StudyMismatch, UserError
from hpo.loop.jobs import variants_of
from hpo.plan.plan import load_plan
from hpo.study.read import decided_in, known_study, read_study
from hpo.study.record import ranked
from hpo.training.messages import Failed, Job

KERAS_TUNER = Path(__file__).parents[2] / "data_files" / "keras_tuner"
SPACE: dict[str, Any] = {
    "model": "mlp",
    "parameters": {
        "depth": {"type": "int", "low": 1, "high": 3},
        "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
        "optimizer": {"type": "categorical", "choices": ["adam", "sgd"]},
        "momentum": {"type": "float", "low": 0.0, "high": 0.9, "when": {"optimizer": "sgd"}},
    },
}
HALVING = {"name": "successive_halving", "min_resource": 1, "reduction_factor": 2}


def experiment(name: str, depth: int = 3, **changes: Any) -> dict[str, Any]:
    space = {**SPACE, "parameters": {**SPACE["parameters"], "depth": {"type": "int", "low": 1, "high": depth}}}
    study = {"trials": 12, "sampler": "random", "pruner": HALVING, "seed": 3}
    return tiny(name=name, search_space=space, study=study, training={"epochs": 4}) | changes


def script(job: Job) -> Any:
    """Four epochs; the second trial dies twice, the sixth diverges."""
    if job.trial in (1, 6):
        return [Failed(job.trial, "killed", "gone")]
    if job.trial == 5:
        return [Failed(job.trial, "nonfinite", "loss not finite")]
    return [score(job.params) * share for share in (0.5, 0.8, 1.0, 0.9)]


def go_on(home: Path, wanted: dict[str, Any], trials: int, script: Any = script) -> Ran:
    """What `hpo run` would do, without training."""
    plan = load_plan({**wanted, "study": {**wanted["study"], "trials": trials}}, home=home)
    return run_plan(plan, ScriptedEngine(script), variants_of(plan).base.info)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the study `old`, of nine configurations."""
    folder = tmp_path_factory.mktemp("store")
    go_on(folder, experiment("old"), 9)
    return folder


@pytest.fixture
def home(store: Path, tmp_path: Path) -> Path:
    return shutil.copytree(store, tmp_path, dirs_exist_ok=True)


def url(home: Path) -> str:
    return f"sqlite:///{home}/optuna.db"


def test_trials_within_the_new_ranges_are_taken_over_whole(home: Path) -> None:
    before = read_study(url(home), "old")
    begun = extend("old", experiment("new", depth=2), Options(home=home))
    inside = [trial for trial in before.trials if trial.params["depth"] <= 2]
    outside = len(before.trials) - len(inside)
    assert outside > 0
    assert (begun.taken, begun.left_out) == (len(inside), {"depth outside the space": outside})
    assert (begun.counting, begun.budget) == (len({trial.origin for trial in inside}), 12)

    after = read_study(url(home), "new")
    assert [trial.number for trial in after.trials] == list(range(len(inside)))
    same = ("state", "params", "seed", "attempt", "value", "best_epoch", "curves", "failure", "started", "ended")
    for old, new in zip(inside, after.trials, strict=True):
        assert [getattr(old, name) for name in same] == [getattr(new, name) for name in same]
        assert new.source == f"trial {old.number} of old"
    assert (after.links, read_study(url(home), "old").links) == ({"extends": "old"}, {"extended_by": "new"})
    assert read_study(url(home), "old").trials == before.trials


def test_a_retried_trial_names_its_first_attempt_by_the_new_number(home: Path) -> None:
    old = read_study(url(home), "old").trials
    extend("old", experiment("new", depth=2), Options(home=home))
    new = read_study(url(home), "new").trials
    by_source = {trial.source: trial.number for trial in new}
    retried = [trial for trial in old if trial.attempt and trial.params["depth"] <= 2]
    moved = {by_source[f"trial {trial.number} of old"]: by_source[f"trial {trial.origin} of old"] for trial in retried}
    assert {trial.number: trial.origin for trial in new if trial.attempt} == moved
    assert set(moved) - {trial.number for trial in retried}, "some number has changed"


def test_sampler_and_pruner_see_them_as_optuna_would_have_kept_them(home: Path) -> None:
    extend("old", experiment("same"), Options(home=home))
    old, new = (optuna.load_study(study_name=name, storage=url(home)).get_trials() for name in ("old", "same"))
    assert any("completed_rung_0" in trial.system_attrs for trial in old)
    for one, other in zip(old, new, strict=True):
        assert (one.params, one.distributions, one.values) == (other.params, other.distributions, other.values)
        assert (one.state, one.intermediate_values) == (other.state, other.intermediate_values)
        rungs = {key: value for key, value in one.system_attrs.items() if key.startswith("completed_rung")}
        assert rungs == other.system_attrs
    wider = {
        **experiment("halved"),
        "study": {**experiment("halved")["study"], "pruner": {**HALVING, "min_resource": 2}},
    }
    extend("old", wider, Options(home=home))
    halved = optuna.load_study(study_name="halved", storage=url(home)).get_trials()
    assert all(trial.system_attrs == {} for trial in halved)


def test_run_goes_on_with_what_is_left_of_the_budget(home: Path) -> None:
    begun = extend("old", experiment("new", depth=2), Options(home=home))
    ran = go_on(home, experiment("new", depth=2), begun.counting + 3, lambda job: [0.4])
    assert len(ran.engine.jobs) == 3
    assert all(job.params["depth"] <= 2 for job in ran.engine.jobs)
    best = next(iter(ranked(read_study(url(home), "old").trials, read_study(url(home), "old").objective)))
    assert ran.trials[-1].number == begun.taken + 2
    assert max(trial.value or 0 for trial in ran.trials) <= (best.value or 0)


def test_the_model_is_copied_since_the_new_study_drops_what_is_beaten(home: Path) -> None:
    (kept,) = [
        trial.model_file for trial in read_study(url(home), "old").trials if Path(trial.model_file or "-").exists()
    ]
    extend("old", experiment("new"), Options(home=home))
    (copy,) = [trial.model_file for trial in read_study(url(home), "new").trials if trial.model_file]
    assert copy != kept
    assert Path(copy).read_bytes() == Path(kept).read_bytes()
    go_on(home, experiment("new"), 10, lambda job: [0.99])
    assert Path(kept).exists()
    assert not Path(copy).exists()


def test_the_same_call_again_adds_nothing_but_what_is_missing(home: Path) -> None:
    extend("old", experiment("new"), Options(home=home))
    whole = read_study(url(home), "new")
    assert extend("old", experiment("new"), Options(home=home)).taken == len(whole.trials)
    assert read_study(url(home), "new") == whole
    go_on(home, experiment("old"), 11, lambda job: [0.3])
    extend("old", experiment("new"), Options(home=home))
    assert len(read_study(url(home), "new").trials) == len(whole.trials) + 2


def test_a_setting_of_training_becomes_the_value_of_a_new_parameter(home: Path) -> None:
    wanted = experiment("new")
    wanted["search_space"]["parameters"]["batch_size"] = {"type": "categorical", "choices": [32, 64]}
    extend("old", wanted, Options(home=home))
    assert {trial.params["batch_size"] for trial in read_study(url(home), "new").trials} == {32}


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"name": "old"}, UserError, "the new study needs a name of its own, not old"),
        ({"training": {"epochs": 5}}, StudyMismatch, r"training\.epochs: 4 -> 5\nundo the change, or .*hpo warm-start"),
        ({"objective": "val_loss"}, StudyMismatch, r'objective\.metric: "val_accuracy" -> "val_loss"'),
        ({"dataset": {"name": "iris", "seed": 4}}, StudyMismatch, r"dataset\.digest"),
        (
            {"search_space": {"model": "mlp", "parameters": {"depth": {"type": "int", "low": 9, "high": 10}}}},
            UserError,
            r"no past trial is in the search space of new: \d+ depth outside the space",
        ),
    ],
)
def test_incomparable_changes_are_refused_and_nothing_is_created(
    home: Path, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        extend("old", experiment("new") | changes, Options(home=home))
    assert optuna.get_all_study_names(url(home)) == ["old"]
    assert read_study(url(home), "old").links == {}


def test_a_study_with_trials_of_its_own_is_not_added_to(home: Path) -> None:
    before = go_on(home, experiment("new"), 2).trials
    for begin in (
        lambda: extend("old", experiment("new"), Options(home=home)),
        lambda: warm_start(experiment("new"), "old", Options(home=home)),
    ):
        with pytest.raises(UserError, match="study new has trials of its own already; use another name"):
            begin()
    assert read_study(url(home), "new").trials == before
    with pytest.raises(NotFound, match=r"no study 'odl'.*did you mean old"):
        extend("odl", experiment("x"), Options(home=home))


def test_a_warm_started_study_knows_trials_that_are_not_its_own(home: Path) -> None:
    begun = warm_start(experiment("warm", depth=2, training={"epochs": 9}), "old", Options(home=home))
    past = read_study(url(home), "old").trials
    scored = [trial for trial in past if trial.value is not None]
    known = [trial for trial in scored if trial.params["depth"] <= 2]
    assert (begun.taken, begun.counting, begun.warnings) == (len(known), 0, [])
    assert begun.left_out.get("killed", 0) + begun.left_out.get("nonfinite", 0) == len(past) - len(scored)
    seen = known_study(url(home), "warm").get_trials()
    assert [trial.intermediate_values[1] for trial in seen] == [trial.curves["val_accuracy"][0] for trial in known]
    assert read_study(url(home), "warm").trials == []

    ran = go_on(home, experiment("warm", depth=2, training={"epochs": 9}), 4, lambda job: [0.1])
    assert len(ran.engine.jobs) == 4, "they count towards no budget"
    assert len(read_study(url(home), "warm").trials) == 4
    assert ran.log.bests == [0.1] * 4, "and are never the best"


def test_the_sampler_learns_from_them(home: Path) -> None:
    """TPE draws at random until it knows ten trials; then it follows the best of them."""
    tpe = {"trials": 12, "sampler": {"name": "tpe", "multivariate": False}, "pruner": HALVING, "seed": 3}
    go_on(home, experiment("old"), 20, lambda job: [0.9 if job.params["depth"] == 3 else 0.1])
    warm_start(experiment("warm", study=tpe), "old", Options(home=home))
    warm = go_on(home, experiment("warm", study=tpe), 8, lambda job: [0.5])
    cold = go_on(home, experiment("cold", study=tpe), 8, lambda job: [0.5])
    depths = [[job.params["depth"] for job in ran.engine.jobs].count(3) for ran in (warm, cold)]
    assert depths[0] >= depths[1] + 3


def test_other_data_and_another_objective_are_taken_as_far_as_they_go(home: Path) -> None:
    other = experiment("warm", dataset={"name": "iris", "seed": 4})
    begun = warm_start(other, "old", Options(home=home))
    assert "are used although they are from other data" in begun.warnings[0]
    with pytest.raises(UserError, match=r"no past trial is in the search space of losses: .*\d+ without val_loss"):
        warm_start(experiment("losses", objective="val_loss"), "old", Options(home=home))
    assert "losses" not in optuna.get_all_study_names(url(home))


def space_of_keras_tuner() -> dict[str, Any]:
    parameters = {**SPACE["parameters"], "width": {"type": "int", "low": 4, "high": 16, "log": True}, "dropout": 0.0}
    return {**SPACE, "parameters": {**parameters, "depth": {"type": "int", "low": 1, "high": 2}}}


def test_a_keras_tuner_project_becomes_known_observations(tmp_path: Path) -> None:
    wanted = experiment("warm", search_space=space_of_keras_tuner())
    begun = warm_start(wanted, KERAS_TUNER / "random", Options(home=tmp_path))
    assert begun.left_out == {"width outside the space": 1, "failed": 1}
    trials = known_study(url(tmp_path), "warm").get_trials()
    assert begun.taken == len(trials) == 6
    assert trials[0].params["width"] == 7
    assert trials[0].value == pytest.approx(0.52)
    assert [trial.user_attrs["hpo:observed"]["trial"] for trial in trials] == ["0", "1", "2", "3", "4", "6"]
    assert warm_start(wanted, KERAS_TUNER / "random", Options(home=tmp_path)).taken == 6
    assert len(known_study(url(tmp_path), "warm").get_trials()) == 6
    more = warm_start(wanted, KERAS_TUNER / "hyperband", Options(home=tmp_path))
    assert more.left_out == {"trained for fewer than 4 epochs": 9, "failed": 1}
    assert len(known_study(url(tmp_path), "warm").get_trials()) == 6 + more.taken == 11


def test_past_trials_teach_the_default_schedule_as_they_teach_a_sampler(home: Path) -> None:
    warm_start(experiment("warm", study={"trials": 12}), "old", Options(home=home))
    assert decided_in(known_study(url(home), "warm").user_attrs)["study"]["schedule"]["name"] == "gp_asha"


def test_the_commands_say_what_was_taken_and_how_to_go_on(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "new.yaml"
    file.write_text(json.dumps(experiment("new", depth=2)))
    where = ["--home", str(home), "--name"]
    told = CliRunner().invoke(app, ["extend", "old", str(file), *where, "narrow"], catch_exceptions=False)
    assert "Study narrow has " in told.stdout
    assert "left out: depth outside the space" in told.stdout
    assert f"hpo run {file} --name narrow --home {home}" in told.stdout
    told = CliRunner().invoke(app, ["warm-start", str(file), "--from", "old", *where, "w"], catch_exceptions=False)
    assert "They do not count as trials" in told.stdout
    begin = ["warm-start", str(file), "--from", str(KERAS_TUNER / "random"), "--json", *where, "k"]
    told = CliRunner().invoke(app, begin, catch_exceptions=False)
    assert json.loads(told.stdout)["taken"] + sum(json.loads(told.stdout)["left_out"].values()) == 8
