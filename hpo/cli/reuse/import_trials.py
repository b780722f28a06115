"""Adds trials that ended elsewhere to a study, so that its sampler and its pruner know them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import optuna
from optuna.trial import FixedTrial, FrozenTrial, TrialState, create_trial

from hpo.config.space import SearchSpace
from hpo.storage.open import open_storage
from hpo.study.attributes import CARRIED, JOB, OBSERVED, RESULT, RETRY
from hpo.study.record import TrialRecord
from hpo.study.stored_trial import job_of
from hpo.study.tell import optuna_state
from hpo.study.trial_results import result_of
from hpo.text.console import is_live

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Past:
    """A trial that ended elsewhere, with its configuration expressed in the new space."""

    source: str
    """The study, or the folder, in which it was run."""
    name: str
    """Its name there: a number or an id."""
    record: TrialRecord
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """Further user attributes for Optuna's trial."""
    system: Mapping[str, Any] = field(default_factory=dict)
    """System attributes for Optuna's trial: the notes of its pruner."""

    @property
    def mark(self) -> dict[str, str]:
        """The attribute of the new trial that names its origin."""
        return {"source": self.source, "trial": self.name}


def carry(
    url: str, study: str, space: SearchSpace, metric: str, past: Sequence[Past], console: "Console | None" = None
) -> None:
    """Adds those past trials that a study does not have yet; they count as its own."""
    _add(url, study, _Into(space, metric, CARRIED), past, console)


def observe(
    url: str, study: str, space: SearchSpace, metric: str, past: Sequence[Past], console: "Console | None" = None
) -> None:
    """Adds those past trials that a study does not have yet, for its sampler and pruner only."""
    _add(url, study, _Into(space, metric, OBSERVED), past, console)


@dataclass(frozen=True)
class _Into:
    space: SearchSpace
    metric: str
    attribute: str
    """The name of the attribute that holds a trial's origin."""


def _add(url: str, study: str, into: _Into, past: Sequence[Past], console: "Console | None") -> None:
    from rich.progress import track

    opened = optuna.load_study(study_name=study, storage=open_storage(url))
    known = opened.get_trials(deepcopy=False)
    marks = {json.dumps(trial.user_attrs.get(into.attribute)): trial.number for trial in known}
    missing = [one for one in past if json.dumps(one.mark) not in marks]
    # Origin -> the number that the trial will have: a retry refers to the first attempt at its configuration.
    marks |= {json.dumps(one.mark): number for number, one in enumerate(missing, len(known))}
    shown = console is not None and is_live(console)
    for one in track(missing, "Trials", console=console, transient=True, disable=not shown):
        own = marks[json.dumps(one.mark)]
        first = json.dumps(replace(one, name=str(one.record.origin)).mark)
        record = replace(one.record, number=own, origin=marks.get(first, own))
        attributes = {**one.attributes, into.attribute: one.mark}
        opened.add_trial(frozen(into.space, record, into.metric, attributes, one.system))


def frozen(
    space: SearchSpace,
    record: TrialRecord,
    metric: str,
    attributes: Mapping[str, Any],
    system: Mapping[str, Any] | None = None,
) -> FrozenTrial:
    """An ended trial as Optuna stores it: parameters, value, the objective after each epoch, result.

    Args:
        space: the study's search space, which holds the configuration; see `hpo.cli.reuse.past_trials.fitted`.
        record: the trial; its origin is a number in the study.
        metric: the objective's metric.
        attributes: user attributes beside hpo's own.
        system: system attributes.
    """
    asked = FixedTrial(space.to_optuna(record.params))
    config = space.suggest(asked)
    reported = record.reports(metric)
    state = optuna_state(record, instructive=True)
    retry = {RETRY: {"origin": record.origin, "attempt": record.attempt}} if record.attempt else {}
    # As in Optuna, the value of a pruned trial is its last one.
    pruned = None if record.state == "failed" else reported.get(len(reported))
    values = {TrialState.COMPLETE: record.value, TrialState.PRUNED: pruned}
    trial = create_trial(
        state=state,
        value=values.get(state),
        params=asked.params,
        distributions=asked.distributions,
        user_attrs={
            JOB: job_of(replace(record, params=config)),
            RESULT: result_of(record),
            **{f"test_{name}": score for name, score in record.test.items()},
            **retry,
            **attributes,
        },
        system_attrs=dict(system or {}),
        intermediate_values=reported,
    )
    if record.started and record.ended:
        trial.datetime_start, trial.datetime_complete = record.started, record.ended
    return trial
