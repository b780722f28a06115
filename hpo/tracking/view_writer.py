"""Keeps the views of a study in its MLflow experiment up to date."""

import math
from collections.abc import Iterable
from contextlib import suppress
from typing import final

from mlflow import MlflowClient
from mlflow.entities import Experiment, Run
from mlflow.exceptions import MlflowException

from hpo.study.record import TrialRecord
from hpo.tracking.saved_views import Shown, confirmation_tag, trials_tag
from hpo.tracking.study_info import StudyInfo
from hpo.tracking.varying_parameters import Varied


@final
class Views:
    """The views of one study. A view is written only if it has changed."""

    def __init__(self, client: MlflowClient, experiment: Experiment, study: StudyInfo, run: Run) -> None:
        """`run`: the study's run."""
        self._client = client
        self._experiment = experiment.experiment_id
        self._study = study
        self._run = run
        self._varied = Varied(study.varied)
        self._confirmed = False
        self._kept = dict(experiment.tags)
        self._look_at = 1

    def begin(self) -> None:
        """Writes the view of the trials, unless an earlier run did, which knew what did vary."""
        key, _ = trials_tag(self._shown())
        if self._run.info.run_id not in self._kept.get(key, ""):
            self._write_if_possible()

    def see(self, records: Iterable[TrialRecord]) -> None:
        """Adds trials and confirming runs, and updates the views; the more trials there are, the less often.

        So a study of thousands of trials does not spend its time on views; `write` writes their final state.
        """
        confirmed = self._confirmed
        for record in records:
            self._varied.see(record)
            self._confirmed |= record.confirms is not None
        if len(self._varied) >= self._look_at or self._confirmed != confirmed:
            self._look_at = math.ceil(1.1 * len(self._varied)) + 1
            self._write_if_possible()

    def write(self) -> None:
        """Writes the views as they are now.

        Raises:
            Exception: MLflow's or SQLAlchemy's, if the store is away. A store that refuses views has none.
        """
        shown = self._shown()
        for key, value in [trials_tag(shown), *([confirmation_tag(shown)] if self._confirmed else [])]:
            if self._kept.get(key) != value:
                try:
                    self._client.set_experiment_tag(self._experiment, key, value)
                except MlflowException as error:
                    if error.get_http_status_code() >= 500:  # type: ignore[no-untyped-call]
                        raise
                self._kept[key] = value

    def _write_if_possible(self) -> None:
        # A view is not a result: if it fails now, it is written at the end.
        with suppress(Exception):
            self.write()

    def _shown(self) -> Shown:
        return Shown(
            study=self._study.name,
            run_id=self._run.info.run_id,
            began=self._run.info.start_time,
            objective=self._study.objective,
            columns=self._varied.columns(),
            axes=self._varied.axes(),
            tested=self._study.objective.metric.removeprefix("val_") in self._varied.tests,
            folded=bool(self._study.dataset.folds),
        )
