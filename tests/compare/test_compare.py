"""The ranked table, its noise column, filters; real Optuna studies, scripted training."""

import io
import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import optuna
import pandas as pd
import pytest
from rich.console import Console
from studies import SPACE, definition, run, two_epochs
from tiny import Command

import hpo
from benchmarks.synthetic import synthetic_study
from hpo.cli.compare_output import print_comparison
from hpo.compare.compare import chosen, parameter_columns, read_studies, table
from hpo.config.experiment import StudySpec
from hpo.errors import NotFound, UserError
from hpo.study.attributes import CONFIRMATION
from hpo.study.confirmation import Confirmation, Estimate, Finalist
from hpo.study.open import open_study
from hpo.study.read import read_study
from hpo.study.record import ranked
from hpo.system.csv_files import write_csv


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two studies of the same objective, eight trials and five."""
    url = f"sqlite:///{tmp_path_factory.mktemp('store')}/optuna.db"
    run(url, two_epochs, trials=8)
    run(url, two_epochs, name="other", seed=5, epochs=30, trials=5)
    return url


def copied(url: str, folder: Path) -> str:
    """The URL of a copy; SQLite's own, which takes what stands in the write-ahead log too."""
    with (
        closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as source,
        closing(sqlite3.connect(folder / "optuna.db")) as copy,
    ):
        source.backup(copy)
    return f"sqlite:///{folder}/optuna.db"


def confirm(url: str, name: str, floor: float) -> list[int]:
    """Stores a confirmation of the two best trials; returns them."""
    best = [trial.number for trial in ranked(read_study(url, name).trials, read_study(url, name).objective)[:2]]
    finalists = [
        Finalist(
            trial=number, searched=0.5, values={1: 0.4, 2: 0.5}, tied=True, p_value=None, model_parameters=9, seconds=1,
            validation=Estimate(mean=0.45, deviation=0.07, low=0.2, high=0.7, seeds=2),
        )
        for number in best
    ]  # fmt: skip
    found = Confirmation(metric="val_accuracy", finalists=tuple(finalists), chosen=best[1], noise_floor=floor, test={})
    optuna.load_study(study_name=name, storage=url).set_user_attr(CONFIRMATION, found.model_dump(mode="json"))
    return best


def test_several_studies_are_ranked_together_and_each_alone(store: str) -> None:
    frame = hpo.compare("s", "other", storage=store)
    scores = frame["val_accuracy"].tolist()
    assert scores == sorted(scores, reverse=True)
    assert frame["study"].value_counts().to_dict() == {"s": 8, "other": 5}
    assert "behind" not in frame.columns, "no noise floor is known"
    best = ranked(read_study(store, "s").trials, read_study(store, "s").objective)
    assert hpo.compare("s", storage=store)["trial"].tolist() == [trial.number for trial in best]


def test_where_and_top_choose_among_the_ranked(store: str) -> None:
    frame = hpo.compare("s", where="optimizer = 'sgd' and momentum is not null", top=2, storage=store)
    assert set(frame["optimizer"]) == {"sgd"}
    assert len(frame) == 2
    assert frame["val_accuracy"].is_monotonic_decreasing


def test_a_known_noise_floor_measures_differences_and_finalists_have_verdicts(store: str, tmp_path: Path) -> None:
    url = copied(store, tmp_path)
    first, second = confirm(url, "s", floor=0.05)
    frame = hpo.compare("s", storage=url)
    assert list(frame.columns[:9]) == [
        "study", "trial", "state", "val_accuracy", "confirmed_mean", "confirmed_low", "confirmed_high",
        "verdict", "behind",
    ]  # fmt: skip
    assert frame["trial"].tolist()[:2] == [first, second]
    assert frame["confirmed_mean"].tolist()[:2] == [0.45, 0.45]
    assert frame["confirmed_mean"].isna().sum() == 6
    best = frame["val_accuracy"].max()
    assert frame["behind"].tolist() == [best - score for score in frame["val_accuracy"]]
    assert frame["noise_floors_behind"].tolist() == pytest.approx([gap / 0.05 for gap in frame["behind"]])
    assert frame["verdict"].tolist()[:2] == ["cannot be told apart", "chosen"]
    assert frame["verdict"].isna().sum() == 6


def test_trials_are_measured_by_the_larger_of_two_floors_or_not_at_all(store: str, tmp_path: Path) -> None:
    url = copied(store, tmp_path)
    best = hpo.compare("s", "other", storage=url)["study"][0]
    (worse,) = {"s", "other"} - {best}
    confirm(url, worse, floor=0.01)
    frame = hpo.compare("s", "other", storage=url)
    assert frame["noise_floors_behind"].isna().all(), "that of the best trial's study is unknown"
    confirm(url, best, floor=10.0)
    frame = hpo.compare("s", "other", storage=url)
    assert frame["noise_floors_behind"].max() < 0.1, "the larger floor of the two counts"


def test_of_a_loss_the_least_is_best(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/optuna.db"
    synthetic_study(url, "losses", 30, objective="val_loss")
    confirm(url, "losses", floor=0.1)
    frame = hpo.compare("losses", storage=url)
    scored = frame["val_loss"].dropna()
    assert scored.is_monotonic_increasing
    assert frame["behind"].dropna().tolist() == [score - scored.min() for score in scored]
    assert frame.loc[frame["val_loss"].isna(), "noise_floors_behind"].isna().all()


def test_a_parameter_with_the_name_of_a_column_does_not_replace_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/optuna.db"
    taken = {"epochs": {"type": "int", "low": 7, "high": 9}, "test_size": {"type": "int", "low": 1, "high": 2}}
    space = {**SPACE, "parameters": {**SPACE["parameters"], **taken}}
    run(url, two_epochs, trials=3, space=space)
    views = read_studies(["s"], storage=url)
    frame = table(views)
    assert frame["epochs"].tolist() == [2, 2, 2]
    assert frame["params.epochs"].between(7, 9).all()
    assert list(frame.columns[-1:]) == ["failure"]
    assert {"params.epochs", "params.test_size", "depth"} <= set(parameter_columns(views))
    assert len(chosen(frame, '"params.epochs" >= 7', None)) == 3


def test_unknown_studies_and_columns_are_named_with_the_nearest_known(store: str) -> None:
    with pytest.raises(NotFound, match=r"no study 'ss'.*did you mean s"):
        hpo.compare("ss", storage=store)
    with pytest.raises(UserError, match="there is no column dept; did you mean depth"):
        hpo.compare("s", storage=store, where="dept = 1")


def test_the_command_compares_studies_for_people_and_for_programs(store: str, command: Command) -> None:
    told = command("compare", "s", "other", "--storage", store, "--where", "depth = 2", "--top", "4")
    assert told.returncode == 0, told.stderr
    assert "mean by trials" in told.stdout
    assert re.search(r"training\.epochs\W+20\W+30\W", told.stdout)
    found = json.loads(command("compare", "s", "other", "--storage", store, "--top", "2", "--json").stdout)
    assert [line["study"] for line in found["studies"]] == ["s", "other"]
    assert len(found["trials"]) == 2
    wrong = command("compare", "s", "--storage", store, "--where", "depth >")
    assert (wrong.returncode, "syntax error; write SQL" in wrong.stderr) == (2, True)


def test_a_long_table_is_cut_on_the_screen_and_whole_in_a_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/optuna.db"
    synthetic_study(url, "long", 150)
    views = read_studies(["long"], storage=url)
    frame, screen = table(views), io.StringIO()
    print_comparison(Console(file=screen, width=300), views, frame)
    assert "and 50 more trials: select some with --where, or write all to a file with --csv" in screen.getvalue()
    write_csv(frame, tmp_path / "all.csv")
    assert len(pd.read_csv(tmp_path / "all.csv")) == 150
    assert [path.name for path in tmp_path.glob("*csv*")] == ["all.csv"]


def test_an_empty_study_has_an_empty_table(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/optuna.db"
    open_study(url, "empty", definition(), StudySpec())
    views = read_studies(["empty"], storage=url)
    screen = io.StringIO()
    print_comparison(Console(file=screen, width=300), views, chosen(table(views), "depth = 1", 3))
    assert "no trials" in screen.getvalue()
