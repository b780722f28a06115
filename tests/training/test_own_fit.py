"""What a HyperModel's own fit does to its inputs reaches the test part too."""

import keras
import numpy as np
import pytest

from hpo.training.own_fit import OwnFit

X, Y = np.linspace(-1, 2, 40, dtype=np.float32).reshape(20, 2), np.arange(20) % 2
TEST = (X[:6] + 1, Y[:6])


@pytest.fixture(scope="module")
def model():
    made = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, "softmax")])
    made.compile("sgd", "sparse_categorical_crossentropy")
    return made


def prepares(model, x, y, validation_data=None, **options):
    x_val, y_val = validation_data
    return model.fit(x - x.mean(), y, validation_data=(x_val - x.mean(), y_val), **options)


def augments(model, x, y, validation_data=None, **options):
    return model.fit(x + 0.01, y, validation_data=validation_data, **options)


def loops(model, x, y, validation_data=None, **options):
    return model.train_on_batch(x, y)


@pytest.mark.parametrize(("fit", "seen"), [(prepares, True), (augments, False), (loops, None)])
def test_a_fit_is_seen_to_prepare_the_validation_part(model, fit, seen):
    own = OwnFit(fit, model)
    own.train(X, Y, (X[:5], Y[:5]), epochs=1, verbose=0, callbacks=[])
    assert own.prepares is seen
    weights, plain = model.get_weights(), model.fit
    if seen:
        x, y = own.prepared(TEST)
        np.testing.assert_allclose(x, TEST[0] - X.mean())
        np.testing.assert_array_equal(y, TEST[1])
        for one, other in zip(weights, model.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
    elif seen is None:
        with pytest.raises(ValueError, match="handed over none of the test"):
            own.prepared(TEST)
    assert model.fit == plain


def test_what_a_preparation_raises_is_raised(model):
    def fit(model, x, y, validation_data=None, **options):
        if len(validation_data[0]) == len(TEST[0]):
            raise RuntimeError("no such part")
        return prepares(model, x, y, validation_data=validation_data, **options)

    own = OwnFit(fit, model)
    own.train(X, Y, (X[:5], Y[:5]), epochs=1, verbose=0, callbacks=[])
    with pytest.raises(RuntimeError, match="no such part"):
        own.prepared(TEST)
