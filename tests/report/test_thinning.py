"""What is left out of figures, and what is said of it."""

import optuna
from optuna.visualization import plot_optimization_history

from hpo.config.experiment import Objective
from hpo.report.thinning import Sample, read_source, thin
from hpo.study.record import TrialRecord


def trials(count: int) -> list[TrialRecord]:
    """Best first, numbered so."""
    return [TrialRecord(number, "complete", {}, 0, number, value=1.0 - number / count) for number in range(count)]


def test_few_trials_are_all_shown_without_a_word():
    thinned = thin(trials(400), 400, "curves")
    assert (len(thinned.numbers), thinned.note) == (400, "")


def test_of_many_trials_the_best_and_a_random_sample_are_shown_and_counted():
    thinned = thin(trials(9871), 400, "curves")
    assert thinned.note == "400 of 9,871 curves: the best 100 and 300 drawn at random"
    assert len(thinned.numbers) == 400
    assert set(range(100)) <= thinned.numbers
    rest = [number for number in thinned.numbers if number >= 100]
    # Evenly over all others: the middle one of 300 lies near the middle.
    assert 4000 < sorted(rest)[150] < 6000
    assert thin(trials(9871), 400, "curves") == thinned


def test_trials_that_must_be_shown_are_shown_and_counted():
    many = trials(1000)
    thinned = thin(many, 40, "points", keep=[many[0], *many[990:]])
    assert set(range(990, 1000)) <= thinned.numbers
    more = len(thinned.numbers) - 40
    assert 0 < more <= 10
    assert thinned.note.startswith(f"{40 + more} of 1,000 points: the best 10 and 30 drawn at random, and the {more}")


def test_a_sample_keeps_numbers_values_and_ranges_as_optuna_has_them(store):
    source = read_source(store, "few")
    known = {trial.number: trial for trial in optuna.load_study(study_name="few", storage=store).trials}
    shown = Sample(source).get_trials(states=(optuna.trial.TrialState.COMPLETE,))
    assert [trial.number for trial in shown] == sorted(trial.number for trial in source.scored)
    for trial in shown:
        assert trial.params == known[trial.number].params
        assert trial.distributions == known[trial.number].distributions
        assert trial.intermediate_values == known[trial.number].intermediate_values
        if known[trial.number].state is optuna.trial.TrialState.COMPLETE:
            assert trial.value == known[trial.number].value


def test_optunas_best_line_through_a_sample_is_that_of_all_trials(store):
    from hpo.report.course import records

    source = read_source(store, "many")
    best = plot_optimization_history(Sample(source)).data[1]
    thinned = plot_optimization_history(Sample(source, thin(source.scored, 60, "points", records(source)).numbers))
    assert list(thinned.data[1].y) == list(best.y)


def test_exploded_losses_are_not_drawn_and_mere_failures_to_learn_are(store):
    from dataclasses import replace

    from hpo.report.thinning import _without_outliers

    objective = Objective(metric="val_accuracy")
    usual = trials(30)
    exploded = replace(usual[-1], number=99, value=-1e9)
    assert _without_outliers([*usual, exploded], objective) == usual
    chance = [replace(trial, value=0.97 if trial.number < 26 else 0.1) for trial in usual]
    assert _without_outliers(chance, objective) == chance
