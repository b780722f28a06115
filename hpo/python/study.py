"""A study as an object: its best trial and model, tables, figures, and what may be done with it."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, final

from hpo.errors import NotFound

if TYPE_CHECKING:
    import pandas as pd

    from hpo.config.experiment import Objective
    from hpo.confirm.confirm import Confirmed
    from hpo.loop.budget import Ending
    from hpo.python.best import Best
    from hpo.python.plots import Plots
    from hpo.python.trials import Trials
    from hpo.run import Result
    from hpo.study.read import StudyView


def open_study(name: str, home: str | Path | None = None, storage: str | None = None) -> "Study":
    """Opens a study by name, to look at it; nothing is changed, and nothing trains.

    Args:
        name: the study's name.
        home: the folder of the store. Default: HPO_HOME, or else ./mlruns.
        storage: SQLAlchemy URL of the store, where it is not the home folder's.

    Raises:
        NotFound: there is no such study; the message names the nearest.
    """
    from hpo.compare.compare import read_studies
    from hpo.system.home import home_folder

    (view,) = read_studies([name], home, storage)
    return Study(view.name, home_folder(home), view.storage, view=view)


@final
class Study:
    """A study: what `hpo.tune`, `hpo.run` and `hpo.open` return.

    It shows what is in the store, also while another process still runs the study.
    """

    def __init__(
        self,
        name: str,
        home: Path,
        storage: str,
        *,
        tracking: str | None = None,
        result: "Result | None" = None,
        view: "StudyView | None" = None,
    ) -> None:
        """Not made by users. `result`: of the run, if there was one; `view`: the study, if it was read already."""
        from hpo.system.home import default_tracking

        self.home = home
        """The folder of everything that the study wrote."""
        self.name = name
        """Its name."""
        self.ended: Ending | None = None if result is None else result.ended
        """How the run ended: done, timeout, target, exhausted, worthwhile; None for a study that was only opened."""
        self.seconds = None if result is None else result.seconds
        """Wall time of the run; None for a study that was only opened."""
        self._url = storage
        self._uri = tracking or default_tracking(home)
        self._known = view

    @property
    def _view(self) -> "StudyView":
        from hpo.study.read import read_study

        self._known = self._known or read_study(self._url, self.name)
        return self._known

    def refresh(self) -> "Study":
        """Reads the study from its store again."""
        self._known = None
        return self

    @property
    def objective(self) -> "Objective":
        """What the study improves."""
        return self._view.objective

    @property
    def declared(self) -> Mapping[str, Any]:
        """What KerasTuner code has declared, as its `HyperParameters.get_config()`; without entries for other code."""
        return self._view.declared or {"space": [], "values": {}}

    @property
    def storage(self) -> str:
        """SQLAlchemy URL of the study, without password."""
        from hpo.text.urls import masked

        return masked(self._url)

    @property
    def tracking_uri(self) -> str:
        """MLflow tracking URI of the runs, without password."""
        from hpo.text.urls import masked

        return masked(self._uri)

    @property
    def best(self) -> "Best | None":
        """The confirmed choice, or else the trial with the best validation score; None if no trial has a score."""
        from hpo.python.best import best_of
        from hpo.report.choice import choice_of

        choice = choice_of(self._view)
        return None if choice is None else best_of(self._view, choice.trial)

    def trial(self, number: int) -> "Best":
        """The trial with that number, as `best` is.

        Raises:
            NotFound: there is none.
        """
        from hpo.python.best import best_of

        return best_of(self._view, self._view.trial(number))

    @property
    def trials(self) -> "Trials":
        """A DataFrame with a row for each trial, which gives the trials' records, too; see `Trials`."""
        from hpo.python.trials import Trials

        return Trials(self._view)

    def curves(self) -> "pd.DataFrame":
        """The learning curves: a row for each trial, epoch and metric, with the columns trial, epoch, metric, value."""
        import pandas as pd

        rows = [
            (trial.number, epoch, metric, value)
            for trial in self._view.trials
            for metric, curve in trial.curves.items()
            for epoch, value in enumerate(curve, 1)
        ]
        return pd.DataFrame(rows, columns=["trial", "epoch", "metric", "value"])

    @property
    def plot(self) -> "Plots":
        """The figures of the report, as figures of plotly: `study.plot.history()`, `study.plot.parallel()`, ..."""
        from hpo.python.plots import Plots

        return Plots(self._url, self.name)

    def confirm(
        self, finalists: int | Sequence[int] = 5, seeds: int = 5, *, progress: bool = True, **options: Any
    ) -> "Confirmed":
        """Trains the best configurations again over fresh seeds, to find which to use; see `hpo.confirm`."""
        from hpo.confirm.confirm import confirm
        from hpo.text.notebook_console import console_here

        options.setdefault("console", console_here() if progress else None)
        found = confirm(self.name, finalists, seeds, home=self.home, **self._stores(), **options)
        self.refresh()
        return found

    def report(self, path: str | Path | None = None) -> Path:
        """Writes the report, one page that needs no network; returns its file. Default: NAME.html."""
        from hpo.report.page import report

        output = Path(path or f"{self.name}.html")
        report([self.name], output, log=False, home=self.home, **self._stores())
        return output

    def export(
        self,
        to: str | Path | None = None,
        *,
        model: str | Path | None = None,
        register: str | None = None,
        trial: int | None = None,
    ) -> list[str]:
        """Exports the best trial, or the one with that number; returns what was written, line by line.

        Args:
            to: .yaml or .json to train again with `hpo train`, or .py for a plain Keras script.
            model: a .keras file.
            register: a name in MLflow's model registry.
            trial: a trial's number.

        Raises:
            UserError: no target is named, or one cannot be written.
        """
        from hpo.export.export import Targets, Which, export

        files = [None if one is None else Path(one) for one in (to, model)]
        targets = Targets(files[0], files[1], register)
        stores = self._stores()
        return list(export(self.name, targets, Which(trial), self.home, stores["storage"], stores["tracking_uri"]))

    def predict(self, inputs: Any, trial: int | None = None) -> "pd.DataFrame":
        """Predicts with the best model, or with that of a trial: a row for each sample.

        `inputs`: an array, a DataFrame, or a dict or list of inputs as the model was trained on, without scaling; or a
        file as for `hpo predict`.
        """
        return self._of(trial).predict(inputs)

    def predictions(self, part: Literal["validation", "training"] = "validation") -> "pd.DataFrame":
        """The best model's predictions for a part of its data, beside the true values in the column `true`.

        Raises:
            UserError: for the test part, since a model that is changed because of its mistakes there is tuned on it.
        """
        return self._of(None).predictions(part)

    @property
    def mlflow_url(self) -> str | None:
        """The page of the study on its MLflow server; None where its store is a file, which `hpo ui NAME` shows."""
        from hpo.tracking.links import run_pages

        pages = run_pages(self._uri, self.name, [])
        return None if pages is None else pages.study

    def to_yaml(self, path: str | Path | None = None) -> str:
        """The experiment as text; written to `path`, if one is given, for `hpo run`, which goes on with the study.

        Beside the file goes the code that it names: the functions of a notebook as a module.
        """
        from hpo.python.files import experiment_text, write_files

        if path is not None:
            write_files(self._view, Path(path), self.home)
        return experiment_text(self._view)

    def _of(self, trial: int | None) -> "Best":
        found = self.best if trial is None else self.trial(trial)
        if found is None:
            raise NotFound(f"study {self.name} has no trial with a score yet")
        return found

    def _stores(self) -> dict[str, Any]:
        return {"storage": self._url, "tracking_uri": self._uri}

    def _lines(self) -> Iterator[str]:
        from hpo.report.answer import answer
        from hpo.study.record import count_states
        from hpo.text.values import counts, score, setting

        view = self._view
        found, states = answer(view), counts(count_states(view.trials))
        yield f"Study {self.name}: {states}" if states else f"Study {self.name}: no trial yet"
        if (best := found.trial) is None:
            yield found.headline
            return
        params = ", ".join(f"{name}={setting(value)}" for name, value in best.params.items())
        kind = "confirmed choice" if found.confirmed else "best"
        yield f"{kind}: trial {best.number}, {view.objective.metric} {score(best.value)}: {params}"

    def __repr__(self) -> str:
        return "\n".join(self._lines())

    def _repr_html_(self) -> str:
        from hpo.python.page import study_page

        return study_page(self._view)
