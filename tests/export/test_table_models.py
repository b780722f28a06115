"""Tables with all kinds of columns: the saved model has the logged score on raw rows, and the script the same data."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from tables_of_all_kinds import N, all_kinds
from tiny import tiny

import hpo
from hpo.export.export import write_model
from hpo.export.predict import predict
from hpo.export.script import script_of
from hpo.loop.jobs import variants_of
from hpo.plan.exported_file import Exported
from hpo.plan.plan import load_plan
from hpo.study.read import read_study

SPACE = {"model": "mlp", "parameters": {"depth": 1, "width": 4}}


def test_a_saved_model_has_the_logged_test_score_on_raw_rows(tmp_path: Path) -> None:
    table = all_kinds()
    # What only the test part holds is unknown to the model.
    table.loc[N - 3, "town"], table.loc[N - 9, "rooms"] = "Oslo", np.nan
    table.to_csv(tmp_path / "houses.CSV", index=False, sep=";", decimal=",", encoding="cp1252")
    data = {"path": str(tmp_path / "houses.CSV"), "target": "price", "drop": ["id"], "shuffle": False}
    experiment = tiny(dataset=data, search_space=SPACE, objective="val_mae", study={"trials": 1}, engine="serial")
    result = hpo.run(experiment, home=tmp_path / "home")
    assert result.best is not None
    view = read_study(f"sqlite:///{tmp_path / 'home' / 'optuna.db'}", "tiny")
    write_model(view, result.best, tmp_path / "best.keras")
    test = table.iloc[-N // 5 :]
    test.drop(columns="price").to_csv(tmp_path / "raw.tsv", index=False, sep="\t")
    found = predict(str(tmp_path / "best.keras"), tmp_path / "raw.tsv")
    mae = float(np.abs(found.table["prediction"].to_numpy() - test["price"].to_numpy()).mean())
    assert mae == pytest.approx(result.best.test["mae"], rel=1e-4)
    model = keras.saving.load_model(tmp_path / "best.keras", compile=False, safe_mode=True)
    inputs = {
        "zip": test["zip"], "town": test["town"].fillna(""), "size a_b": test["size a/b"], "rooms": test["rooms"],
        "garden": test["garden"], "sold": test["sold"],
        "built": pd.to_datetime(test["built"], format="%d.%m.%Y").dt.strftime("%Y-%m-%d").fillna(""),
    }  # fmt: skip
    texts = ("zip", "town", "sold", "built")
    plain = {name: one.to_numpy(object if name in texts else float) for name, one in inputs.items()}
    outputs = model.predict(plain, verbose=0).ravel()
    np.testing.assert_allclose(outputs, found.table["prediction"], atol=1e-3)


@pytest.mark.parametrize(
    ("options", "objective"),
    [
        ({}, "val_mae"),
        ({"categories": "ordinal", "shuffle": False, "limit": 150}, "val_mae"),
        ({"categories": "hashing", "validation": {"time": "sold"}}, "val_mae"),
        ({"validation": {"group": "zip"}, "limit": 150}, "val_mae"),
        ({"target": "town", "drop": ["price", "id"], "validation": {"group": "rooms", "size": 0.4}}, "val_accuracy"),
        ({"target": "rooms", "drop": ["price", "id"], "test": 50}, "val_accuracy"),
    ],
)
def test_a_script_prepares_a_table_as_its_trial_had_it(tmp_path: Path, options: dict[str, Any], objective: str) -> None:
    table = all_kinds()
    table["town"] = table["town"].fillna("Rom")
    table.loc[0, "rooms"] = 77
    table.loc[N - 3, "town"], table.loc[N - 9, "size a/b"] = "Oslo", np.nan
    # Codes of other lengths are in another order than their numbers.
    table.loc[::2, "zip"] = table["zip"].str[2:]
    table.to_csv(tmp_path / "houses.csv", index=False, sep=";", decimal=",", na_rep="NA")
    data = {"path": str(tmp_path / "houses.csv"), "target": "price", "drop": ["id"], **options}
    plan = load_plan(tiny(dataset=data, search_space=SPACE, objective=objective), home=tmp_path)
    scores = {objective: 0.9}
    names: dict[str, Any] = {"__name__": "script"}
    exported = Exported("tiny", 0, plan, {"depth": 1, "width": 4}, seed=1, epochs=2, scores=scores, digest="")
    exec(script_of(exported), names)
    expected = variants_of(plan).base
    pairs = zip(names["load_data"](), (expected.training, expected.validation, expected.test), strict=True)
    for (x, y), part in pairs:
        np.testing.assert_array_equal(y.ravel(), part.y)
        np.testing.assert_allclose(x, expected.info.scaling.apply(part.x), atol=1e-5)
