"""What hpo needs of Optuna beyond its documentation is as it was: each failure here names what to look at."""

import math
import sqlite3
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.pruners import SuccessiveHalvingPruner
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import select

from hpo.storage import optuna_compat as compat
from hpo.storage.write_trials import insert_trial

LOOK = f"Optuna {optuna.__version__} is not as hpo/storage/optuna_compat.py needs it: "


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "optuna.db"


@pytest.fixture
def study(file: Path) -> optuna.Study:
    return optuna.create_study(study_name="s", storage=RDBStorage(f"sqlite:///{file}"))


def test_keys_of_trials(study: optuna.Study) -> None:
    asked = study.ask()
    (frozen,) = study.get_trials()
    key = compat.key_of(frozen)
    assert study._storage.get_trial(key).number == 0, LOOK + "trials keep their key elsewhere, see key_of"
    assert compat.key_of(asked) == key, LOOK + "trials keep their key elsewhere, see key_of"
    compat.set_key(frozen, 17)
    assert compat.key_of(frozen) == 17, LOOK + "the key of a trial cannot be set, see set_key"


def test_a_sampler_sees_trials_that_ended_meanwhile(study: optuna.Study) -> None:
    def seen() -> int:
        # As samplers of Optuna read the trials.
        return len(study._get_trials(deepcopy=False, use_cache=True))

    study.ask()
    before = seen()
    study._storage.create_new_trial(study._study_id)
    assert seen() == before, LOOK + "Optuna no longer keeps what it read; forget_read_trials may go"
    compat.forget_read_trials(study)
    assert seen() == before + 1, LOOK + "Optuna keeps what it read elsewhere, see forget_read_trials"


def test_the_fixed_parameters_of_an_enqueued_trial(study: optuna.Study) -> None:
    study.enqueue_trial({"x": 1})
    (waiting,) = study.get_trials()
    assert waiting.system_attrs == {compat.FIXED_PARAMS: {"x": 1}}, LOOK + "see FIXED_PARAMS"
    begun = create_trial(state=TrialState.RUNNING, system_attrs={compat.FIXED_PARAMS: {"x": 2}})
    trial = optuna.trial.Trial(study, study._storage.create_new_trial(study._study_id, begun))
    assert trial.suggest_int("x", 0, 3) == 2, LOOK + "see FIXED_PARAMS"


def test_the_rungs_that_successive_halving_stores_for_a_trial(study: optuna.Study) -> None:
    study.pruner = SuccessiveHalvingPruner(min_resource=1)
    trial = study.ask()
    trial.report(0.5, 1)
    trial.should_prune()
    (noted,) = study.get_trials()
    assert noted.system_attrs == {f"{compat.RUNG_PREFIX}0": 0.5}, LOOK + "see RUNG_PREFIX"


def test_the_schema_is_the_one_that_is_known(file: Path, study: optuna.Study) -> None:
    connection = sqlite3.connect(file)
    assert compat.has_known_tables(connection), (
        LOOK + "the schema has changed; compare tables(), studies_with() and trials_without() with "
        "optuna/storages/_rdb/models.py, then set SCHEMA_VERSION and REVISION"
    )
    connection.execute("UPDATE alembic_version SET version_num = 'other'")
    assert not compat.has_known_tables(connection)
    connection.close()


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("trials", "trial_id number study_id state datetime_start datetime_complete"),
        ("params", "param_id trial_id param_name param_value distribution_json"),
        ("user_attributes", "trial_user_attribute_id trial_id key value_json"),
        ("system_attributes", "trial_system_attribute_id trial_id key value_json"),
        ("values", "trial_value_id trial_id objective value value_type"),
        (
            "intermediate_values",
            "trial_intermediate_value_id trial_id step intermediate_value intermediate_value_type",
        ),
    ],
)
def test_the_columns_of_tables(table: str, columns: str) -> None:
    found = {column.name for column in getattr(compat.tables(), table).columns}
    assert found == set(columns.split()), (
        LOOK + f"other columns in the table of {table}; see tables, write_trials.py and read_trials.py"
    )


@pytest.mark.parametrize("value", [0.5, math.inf, -math.inf, math.nan])
def test_values_are_encoded_as_optuna_does(file: Path, study: optuna.Study, value: float) -> None:
    database = RDBStorage(f"sqlite:///{file}")
    trial = database.create_new_trial(study._study_id)
    database.set_trial_intermediate_value(trial, 1, value)
    kept = [(compat.tables().intermediate_values, compat.stored_intermediate_value(value))]
    if not math.isnan(value):
        database.set_trial_state_values(trial, TrialState.COMPLETE, [value])
        kept.append((compat.tables().values, compat.stored_value(value)))
    with database.engine.connect() as connection:
        for table, columns in kept:
            (row,) = connection.execute(select(table)).mappings()
            assert columns.items() <= dict(row).items(), LOOK + f"{table.name} are encoded otherwise, see stored_value"


def test_a_trial_is_inserted_as_optuna_does(file: Path, study: optuna.Study) -> None:
    template = create_trial(
        state=TrialState.RUNNING,
        params={"x": 0.5},
        distributions={"x": optuna.distributions.FloatDistribution(0, 1)},
        user_attrs={"a": [1]},
        system_attrs={"b": 2},
    )
    database = RDBStorage(f"sqlite:///{file}")
    key, number = insert_trial(database.engine, study._study_id, template)
    keys = [key, database.create_new_trial(study._study_id, template)]
    same: list[Callable[[FrozenTrial], object]] = [
        lambda trial: trial.state,
        lambda trial: trial.params,
        lambda trial: trial.distributions,
        lambda trial: trial.user_attrs,
        lambda trial: trial.system_attrs,
    ]
    ours, theirs = map(database.get_trial, keys)
    assert [part(ours) for part in same] == [part(theirs) for part in same], LOOK + "see insert_trial"
    assert [number, ours.number, theirs.number] == [0, 0, 1], LOOK + "trials are numbered otherwise, see insert_trial"
    with pytest.raises(KeyError):
        insert_trial(database.engine, 99, template)


def test_studies_and_trials_are_read_without_optuna(file: Path, study: optuna.Study) -> None:
    optuna.create_study(study_name="other", storage=f"sqlite:///{file}")
    study.set_user_attr("mine", {"a": 1})
    study.enqueue_trial({"x": 1})
    done = create_trial(state=TrialState.COMPLETE, value=1.0, user_attrs={"result": {"value": 0.5, "failure": None}})
    study.add_trial(done)
    study.add_trial(create_trial(state=TrialState.FAIL, user_attrs={"hidden": True}))
    study.add_trial(create_trial(state=TrialState.FAIL))
    connection = sqlite3.connect(file)
    assert list(compat.studies_with(connection, "mine")) == [(1, "s", '{"a": 1}')], LOOK + "see studies_with"
    trials = list(compat.trials_without(connection, "hidden", "result", ("value", "failure")))
    expected = [(1, 1, "COMPLETE", "0.5", "null"), (1, 3, "FAIL", None, None)]
    assert trials == expected, LOOK + "see trials_without"
    connection.close()
