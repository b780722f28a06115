"""The shipped text model: its saved file takes texts as they came, and has the logged test score."""

import keras
import numpy as np
import pandas as pd
import pytest

from hpo.data import open_prepared
from hpo.errors import DataError
from hpo.export.predict import predict
from hpo.training.messages import Finished


def test_a_saved_text_model_has_the_logged_score_on_the_column_of_a_table(run_job, prepared, tmp_path):
    rng = np.random.default_rng(0)
    texts = [" ".join(row) for row in np.array(["good", "bad", "Film!", "plot"])[rng.integers(0, 4, (120, 5))]]
    stars = ["yes" if text.count("good") > text.count("bad") else "no" for text in texts]
    # Nothing is left of the first text without its punctuation.
    table = pd.DataFrame({"number": range(120), "review": ["...", *texts[1:]], "stars": stars})
    table.to_csv(tmp_path / "reviews.csv", index=False)
    folder = prepared(path=str(tmp_path / "reviews.csv"), target="stars", text="review")
    params = {"vocabulary": 9, "length": 6, "embedding": 4, "pooling": "recurrent", "cell": "gru", "units": 4}
    file = tmp_path / "model.keras"
    training = {"epochs": 2, "learning_rate": 0.05, "batch_size": 20}
    line = run_job("text", data=folder, params=params, training=training, save_to=str(file))
    assert isinstance(line.last, Finished), line.last
    assert line.last.model_note is None

    test = open_prepared(folder).test
    table = pd.DataFrame({"review": test.x, "more": 1})
    table.to_csv(tmp_path / "new.csv", index=False)
    found = predict(str(file), tmp_path / "new.csv").table
    names = np.array(["no", "yes"])[test.y]
    assert (found["class"].to_numpy() == names).mean() == pytest.approx(line.last.test["accuracy"], abs=1e-6)
    # As a script would call the file.
    outputs = keras.saving.load_model(file).predict(keras.ops.convert_to_tensor(list(test.x)), verbose=0)
    np.testing.assert_allclose(outputs, found[["probability_no", "probability_yes"]], atol=1e-5)
    table.loc[1, "review"] = None
    table.to_csv(tmp_path / "new.csv", index=False)
    with pytest.raises(DataError, match=r"new\.csv: review: must have a text in every row, row 1 \(counted from 0\)"):
        predict(str(file), tmp_path / "new.csv")
