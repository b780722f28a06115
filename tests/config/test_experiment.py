import pickle

import pytest
from parsed import override, parse_experiment
from pydantic import ValidationError

from hpo.config.experiment import EarlyStopping, Experiment, Objective, StudySpec
from hpo.config.section import seconds
from hpo.config.yaml_file import read_yaml
from hpo.errors import FileMistakes

SMALLEST = "name: a\ndataset: digits\nsearch_space: mlp\nobjective: val_accuracy\n"


def parse(folder, text: str, *assignments: str) -> Experiment:
    path = folder / "x.yaml"
    path.write_text(text)
    return parse_experiment(override(read_yaml(path), assignments))


def complaints(folder, text: str, *assignments: str) -> list[str]:
    with pytest.raises(FileMistakes) as error:
        parse(folder, text, *assignments)
    return str(error.value).replace(f"{folder}/", "").splitlines()


def test_the_smallest_experiment_and_its_defaults(tmp_path):
    experiment = parse(tmp_path, SMALLEST)
    assert experiment.dataset.name == "digits"
    assert experiment.dataset.validation.size == 0.2
    assert experiment.objective.direction == "maximize"
    assert experiment.training.epochs == 20
    assert experiment.training.early_stopping == EarlyStopping(patience=3)
    assert experiment.study.schedule.name == "gp_asha"
    assert StudySpec.model_validate({"pruner": "none"}).schedule.name == "one_pass"
    assert (experiment.study.sampler.name, experiment.study.sampler.options) == ("tpe", {"multivariate": False})
    assert experiment.study.pruner.name == "successive_halving"
    assert experiment.study.pruner.options == {"min_resource": 1, "reduction_factor": 3}
    assert experiment.engine.workers == "auto"
    assert pickle.loads(pickle.dumps(experiment)) == experiment


def test_every_section_in_full(tmp_path):
    experiment = parse(
        tmp_path,
        """
name: full.name_1
dataset: {name: mnist, path: data, validation: 10000, stratify: true, seed: 13, scaling: minmax, limit: 500}
search_space: {model: mlp, parameters: {depth: 2}}
objective: {metric: val_mine, direction: minimize}
training: {epochs: 1e1, batch_size: 64.0, early_stopping: false, learning_rate: 1, metrics: [auc], loss: mse}
study:
  sampler: {name: tpe, n_startup_trials: 3}
  pruner: none
  timeout: 1h30m
  trial_timeout: 90
  target: 1
  retries: 0
  enqueue: [{depth: 2}]
engine: {name: serial, workers: 2}
tracking: http://localhost:5000
""",
    )
    assert experiment.training.epochs == 10
    assert isinstance(experiment.training.epochs, int)
    assert experiment.training.early_stopping is None
    assert [metric.name for metric in experiment.training.metrics] == ["auc"]
    assert experiment.study.sampler.options == {"n_startup_trials": 3}
    assert experiment.study.timeout == 5400
    assert experiment.study.enqueue == ({"depth": 2},)
    assert experiment.tracking.uri == "http://localhost:5000"


def test_a_short_form_is_lengthened_where_a_key_inside_is_set(tmp_path):
    text = SMALLEST.replace("digits", "{name: digits, validation: 0.1}")
    validation = parse(tmp_path, text, "dataset.validation.seed=1").dataset.validation
    assert (validation.size, validation.seed) == (0.1, 1)
    assert parse(tmp_path, SMALLEST, "objective.direction=maximize").objective.metric == "val_accuracy"


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("training.batchsize=3", "training.batchsize: unknown key; did you mean batch_size?"),
        ("epochs=3", "epochs: unknown key; did you mean training.epochs?"),
        ("study.workers=3", "study.workers: unknown key; did you mean engine.workers?"),
        ("training.early_stopping={patiens: 3}", "training.early_stopping.patiens: unknown key; did you mean pat"),
        ("training.zzz=3", "training.zzz: unknown key; valid: epochs, batch_size, early_stopping, optimizer"),
        ("training.epochs='20'", "training.epochs: must be a whole number, got '20'; write it without quotes"),
        ("training.epochs=twenty", "training.epochs: must be a whole number, got 'twenty'"),
        ("training.epochs=true", "training.epochs: must be a whole number, got true"),
        ("training.epochs=20.5", "training.epochs: must be a whole number, got 20.5"),
        ("training.epochs=0", "training.epochs: must be at least 1, got 0"),
        ("training.learning_rate='0.1'", "training.learning_rate: must be a number, got '0.1'; write it without"),
        ("training.learning_rate=0", "training.learning_rate: must be above 0, got 0"),
        ("training.momentum=1", "training.momentum: must be below 1, got 1"),
        ("training.nesterov=yes", "training.nesterov: must be true or false, got 'yes'"),
        ("training.metrics=auc", "training.metrics: must be a list, got 'auc'"),
        ("training.metrics=[auc, 1]", "training.metrics[1]: must be a name or a mapping, got 1"),
        ("training.early_stopping=3", "training.early_stopping: must be a mapping, got 3"),
        ("training=", "training: must be a mapping, got nothing"),
        ("name=", "name: must be text, got nothing"),
        ("name=my study", "name: must match ^[A-Za-z0-9]"),
        ("search_space=5", "search_space: must be text or a mapping, got 5"),
        ("engine.workers=0", "engine.workers: must be at least 1 or 'auto', got 0"),
        ("engine.workers=outo", "engine.workers: must be a whole number or 'auto', got 'outo'; did you mean auto?"),
        ("engine=lokal", "engine: must be 'local', 'serial' or 'ray', got 'lokal'; did you mean local?"),
        ("engine=3", "engine: must be a name or a mapping, got 3"),
        ("dataset=", "dataset: must be a name or a mapping, got nothing"),
        ("dataset={limit: 10}", "dataset: needs name or path or function"),
        ("dataset={path: a, function: b}", "dataset: path and function exclude each other"),
        ("dataset.scaling=minmx", "dataset.scaling: must be 'minmax', 'standard' or 'none', got 'minmx'; did you mean"),
        ("dataset.validation=some", "dataset.validation: must be a size or a mapping, got 'some'"),
        ("dataset.validation=1", "dataset.validation: must be a share below 1 or a whole number of samples above 1"),
        ("dataset.validation=10.5", "dataset.validation: must be a share below 1 or a whole number"),
        ("dataset.validation=0", "dataset.validation: must be above 0, got 0"),
        ("dataset={path: a, image_size: [3]}", "dataset.image_size[1]: is required"),
        ("dataset={path: a, image_size: [3, 4, 5]}", "dataset.image_size: must have at most 2 item(s), got [3, 4, 5]"),
        ("dataset.nme=x", "dataset.nme: unknown key; did you mean name?"),
        ("objective=accuracy", "objective: must be a metric on the validation part, got 'accuracy'; did you mean"),
        ("objective=test_loss", "objective: must be a metric on the validation part, got 'test_loss'; did you"),
        ("objective={metric: loss}", "objective.metric: must be a metric on the validation part, got 'loss'"),
        ("objective=val_mine", "objective: Keras knows no metric 'val_mine', so its direction must be set: write {"),
        ("objective.direction=up", "objective.direction: must be 'maximize' or 'minimize', got 'up'"),
        ("study.sampler={seed: 1}", "study.sampler.name: is required"),
        ("study.enqueue=[{}, 1]", "study.enqueue[1]: must be a mapping, got 1"),
        ("study.seed=4294967296", "study.seed: must be below 4294967296, got 4294967296"),
        ("study.timeout=soon", "study.timeout: must be a duration above zero such as 90, 90s, 10m or 1h30m, got"),
        ("study.timeout=0", "study.timeout: must be a duration above zero"),
        ("study.timeout=true", "study.timeout: must be a duration above zero"),
    ],
)  # fmt: skip
def test_mistakes(tmp_path, assignment, message):
    (found,) = complaints(tmp_path, SMALLEST, assignment)
    assert found.startswith(f"--set {assignment}: {message}")


def test_a_list_that_lacks_all_its_items_is_a_mistake_for_each(tmp_path):
    found = complaints(tmp_path, SMALLEST, "dataset={path: a, image_size: []}", "training.epochs=0")
    assert [": ".join(one.split(": ")[-2:]) for one in found] == [
        "dataset.image_size[0]: is required",
        "dataset.image_size[1]: is required",
        "training.epochs: must be at least 1, got 0",
    ]


def test_all_mistakes_at_once_with_their_lines(tmp_path):
    text = "name: a\nobjective: accuracy\ntraining:\n  epochs: -1\n  batchsize: 3\nstudy: {trials: many}\n"
    assert complaints(tmp_path, text) == [
        "x.yaml: dataset: is required",
        "x.yaml: search_space: is required",
        "x.yaml:2: objective: must be a metric on the validation part, got 'accuracy'; did you mean val_accuracy? "
        "(the test set never chooses)",
        "x.yaml:4: training.epochs: must be at least 1, got -1",
        "x.yaml:5: training.batchsize: unknown key; did you mean batch_size?",
        "x.yaml:6: study.trials: must be a whole number, got 'many'",
    ]


def test_long_values_are_shortened(tmp_path):
    (found,) = complaints(tmp_path, SMALLEST, "training.epochs=" + "x" * 5000)
    assert len(found.split("training.epochs: ")[1]) < 150


@pytest.mark.parametrize(
    ("written", "expected"),
    [(90, 90), (1.5, 1.5), ("90", 90), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("1h 30m", 5400), ("1.5h", 5400),
     ("1h30m15s", 5415), ("2 h", 7200), ("0.5s", 0.5), ("1e3", 1000)],
)  # fmt: skip
def test_durations(written, expected):
    assert seconds(written) == expected


@pytest.mark.parametrize(
    "written",
    [0, -1, "0", "-5m", "0h", True, None, [], "", " ", "m", "10 minutes", "1m30", "30m1h", "1 0m", "1d", float("nan"),
     float("inf"), "inf", "nan", 10**400, "9" * 400 + "h"],
)  # fmt: skip
def test_invalid_durations(written):
    with pytest.raises(ValueError, match="must be a duration above zero such as 90, 90s, 10m or 1h30m, got"):
        seconds(written)


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("digits", ("digits", None, None)),
        ("data/iris.csv", ("iris", "data/iris.csv", None)),
        ("iris.parquet", ("iris", "iris.parquet", None)),
        ("./folder", ("folder", "./folder", None)),
        ("my.module:load", ("load", None, "my.module:load")),
        ("{name: mine, path: a.csv}", ("mine", "a.csv", None)),
    ],
)
def test_datasets_by_name_path_or_function(tmp_path, text, source):
    dataset = parse(tmp_path, SMALLEST, f"dataset={text}").dataset
    assert (dataset.name, dataset.path, dataset.function) == source


@pytest.mark.parametrize(
    ("metric", "direction"),
    [("val_accuracy", "maximize"), ("val_loss", "minimize"), ("val_mae", "minimize"), ("val_auc", "maximize"),
     ("val_mean_io_u", "maximize"), ("val_f1_score", "maximize"), ("val_r2_score", "maximize"),
     ("val_sparse_categorical_crossentropy", "minimize"), ("val_mean_squared_error", "minimize")],
)  # fmt: skip
def test_directions(metric, direction):
    assert Objective.model_validate(metric).direction == direction


@pytest.mark.parametrize(
    "metric", ["val_brier_score", "val_my_accuracy", "val_anomaly_score", "val_error", "val_auc_loss", "val_mean"]
)
def test_a_direction_is_never_guessed_from_a_part_of_a_name(tmp_path, metric):
    (found,) = complaints(tmp_path, SMALLEST, f"objective={metric}")
    assert f"write {{metric: {metric}, direction: maximize}}, or minimize" in found
    (found,) = complaints(tmp_path, SMALLEST, f"training.early_stopping={{monitor: {metric}}}")
    assert f"write {{metric: {metric}, direction: maximize}}, or minimize" in found
    assert Objective.model_validate({"metric": metric, "direction": "minimize"}).mode == "min"


@pytest.mark.parametrize("metric", ["val_AUC", "val_MeanSquaredError", "val_auc_1", "val_RMSE"])
def test_metrics_as_keras_writes_and_numbers_them(metric):
    assert Objective.model_validate(metric).direction == ("maximize" if "au" in metric.lower() else "minimize")


def test_better():
    higher, lower = Objective.model_validate("val_accuracy"), Objective.model_validate("val_loss")
    assert higher.score(0.9).better_than(higher.score(0.8))
    assert lower.score(0.1).better_than(lower.score(0.2))
    odd = Objective(metric="val_loss", direction="maximize")
    assert odd.score(0.2).better_than(odd.score(0.1))


def test_experiments_are_frozen(tmp_path):
    experiment = parse(tmp_path, SMALLEST)
    with pytest.raises(ValidationError, match="frozen"):
        experiment.name = "b"


def test_numbers_in_quotes_are_mistakes_from_python_too():
    with pytest.raises(ValidationError, match="valid integer"):
        EarlyStopping.model_validate({"patience": "3"})
