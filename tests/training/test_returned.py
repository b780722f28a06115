"""What a fit of its own returns is the trial's score, by KerasTuner's rules."""

import keras
import numpy as np
import pytest
from keras_tuner import Objective as TheirObjective
from keras_tuner.errors import FatalTypeError, FatalValueError
from keras_tuner.src.engine import tuner_utils

from hpo.config.objective import Objective
from hpo.training.epoch_callback import Nonfinite, Watch
from hpo.training.messages import Alive, Checkpointed, Checkpoints, EpochDone, Finished, Started
from hpo.training.returned import metrics_returned, score_returned

LOSS = Objective.model_validate("val_loss")
THEIRS = TheirObjective("val_loss", "min")


def history(*losses):
    found = keras.callbacks.History()
    found.history = {"loss": [1.0] * len(losses), "val_loss": list(losses)}
    return found


@pytest.mark.parametrize(
    "returned",
    [0.5, 3, np.float32(0.25), {"val_loss": 0.5, "other": 2.0}, history(0.9, 0.3, 0.6), [0.5, 0.25],
     [history(0.9, 0.3), history(0.5, 0.7)], [{"val_loss": 1.0}, {"val_loss": 2.0}]],
)  # fmt: skip
def test_a_score_is_what_keras_tuner_makes_of_it(returned) -> None:
    theirs = tuner_utils.convert_to_metrics_dict(returned, THEIRS)["val_loss"]
    assert score_returned(returned, LOSS) == pytest.approx(theirs)


def test_the_other_metrics_are_kept_as_keras_tuner_keeps_them() -> None:
    for returned in (history(0.9, 0.3, 0.6), [{"val_loss": 1.0, "a": 1}, {"val_loss": 2.0, "a": 4, "b": 1}], 0.5):
        theirs = tuner_utils.convert_to_metrics_dict(returned, THEIRS)
        ours = metrics_returned(returned, LOSS)
        assert ours == ({} if returned == 0.5 else {name: value for name, value in theirs.items() if name != "b"})
    assert metrics_returned({"val_loss": 1.0, "a": float("nan"), "b": "text"}, LOSS) == {"val_loss": 1.0}


def test_what_is_no_score() -> None:
    assert score_returned(None, LOSS) is None
    assert score_returned(np.array([0.5])[0], LOSS) == 0.5
    for wrong in ("0.5", [], [0.5, None], np.zeros(2), object()):
        with pytest.raises(FatalTypeError, match="fit must return a number, a mapping of metrics, a History"):
            score_returned(wrong, LOSS)
    for lacking in ({"loss": 1.0}, keras.callbacks.History()):
        with pytest.raises(FatalValueError, match="no val_loss, the objective, among"):
            score_returned(lacking, LOSS)


@pytest.fixture(scope="module")
def model():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


@pytest.fixture
def watch(job_of, recorder, model):
    def made(*logs):
        line = recorder()
        watch = Watch(job_of(objective="val_loss", training={"epochs": 9, "early_stopping": False}), line)
        watch.holds_back = "each"
        watch.set_model(model)
        for epoch, log in enumerate(logs):
            watch.on_epoch_begin(epoch)
            watch.on_epoch_end(epoch, log)
        return watch, line.events

    return made


def test_the_last_epoch_says_what_the_fit_returned(watch, model) -> None:
    ours, events = watch({"val_loss": 0.5}, {"val_loss": 0.4}, {"val_loss": 0.6})
    assert [event.epoch for event in events] == [1, 2]
    ours.returned(0.45, model)
    ours.send_last()
    assert [event.last for event in events] == [False, False, True]
    assert (events[-1].score, events[-1].ended_by, ours.best.value, ours.best.epoch) == (0.45, "epochs", 0.45, 2)


def test_what_the_epochs_say_already_is_not_said_twice(watch, model) -> None:
    for value in (None, 0.4, 0.4 * (1 + 1e-8)):
        ours, events = watch({"val_loss": 0.5}, {"val_loss": 0.4})
        ours.returned(value, model)
        ours.send_last()
        assert (events[-1].score, events[-1].last, ours.best.value) == (None, True, 0.4)


def test_epochs_without_the_objective_are_one_step(watch, model) -> None:
    ours, events = watch({"loss": 0.5}, {"loss": 0.4})
    ours.returned(7.0, model)
    ours.send_last()
    (event,) = events
    assert (event.epoch, event.last, event.metrics["val_loss"], event.metrics["loss"]) == (1, True, 7.0, 0.4)
    with pytest.raises(Nonfinite, match="val_loss is nan"):
        watch()[0].returned(float("nan"), model)


def test_a_configuration_that_trains_several_times_is_scored_by_the_mean(run_job, prepared, tmp_path) -> None:
    def trained(seed, **training):
        options = {"data": prepared(name="iris"), "objective": "val_loss", "seed": seed}
        return run_job(
            **options, training={"epochs": 2, "callbacks": ["CSVLogger"], **training}, callbacks_folder=str(tmp_path),
            save_to=str(tmp_path / f"{seed}{len(training)}.keras"),
        )  # fmt: skip

    several, once = trained(5, executions=3), trained(5)
    assert several.curves == once.curves
    # A sign of life for each epoch of the later trainings.
    assert [type(event) for event in several.events] == [Started, EpochDone, *[Alive] * 4, EpochDone, Finished]
    logs = sorted(str(file.relative_to(tmp_path)) for file in tmp_path.rglob("log.csv"))
    assert logs == [*(f"trial-0007/execution-{number}/log.csv" for number in (1, 2, 3)), "trial-0007/log.csv"]
    assert several.last.executions == 3
    last = several.events[-2]
    assert last.score != min(several.curves["val_loss"])
    # Its later trainings are those of further seeds.
    seeds = [int(np.random.SeedSequence([5, number]).generate_state(1)[0]) for number in (1, 2)]
    others = [trained(seed) for seed in seeds]
    best = [min(one.curves["val_loss"]) for one in (once, *others)]
    assert last.score == pytest.approx(np.mean(best))
    assert several.last.test["loss"] == pytest.approx(np.mean([one.last.test["loss"] for one in (once, *others)]))
    file = [tmp_path / f"{seed}0.keras" for seed in (5, *seeds)][int(np.argmin(best))]
    weights = [keras.models.load_model(path).get_weights() for path in (several.last.model_file, file)]
    assert all(map(np.array_equal, *weights))


@pytest.mark.parametrize("reason", ["interrupt", "deadline"])
def test_a_configuration_that_is_stopped_in_a_later_training(run_job, recorder, prepared, tmp_path, reason) -> None:
    class Stops(recorder):
        def stop_reason(self):
            return reason if sum(isinstance(event, Alive) for event in self.events) == 3 else None

    options = {"data": prepared(name="iris"), "objective": "val_loss", "training": {"epochs": 2, "executions": 3}}
    line = run_job(**options, checkpoints=Checkpoints(str(tmp_path)), line=Stops())
    epochs = [event for event in line.events if isinstance(event, EpochDone)]
    if reason == "interrupt":
        # Had its last epoch been sent, it could not go on.
        assert (len(epochs), line.last) == (1, Finished(7, "interrupt", None))
    else:
        # The third training, which was stopped, plays no part.
        assert (epochs[-1].last, line.last.ended_by, line.last.executions) == (True, "deadline", 2)
    left = next(event.checkpoint for event in line.events if isinstance(event, Checkpointed))
    assert left.epochs == 1
    on, whole = run_job(**options, resume=left), run_job(**options)
    assert (on.events[-2].score, on.last.executions) == (whole.events[-2].score, 3)
