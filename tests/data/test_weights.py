"""Weights of samples by target: read, divided, and what is wrong with them."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hpo.config.experiment import DatasetSpec
from hpo.data import Dataset, load
from hpo.data.generated import batches_of_epoch
from hpo.errors import DataError

# Python imports a module of one name once.
NUMBERS = itertools.count()
PIPELINE = """
    import tensorflow as tf
    part = tf.data.Dataset.from_tensor_slices((x, y, w)).batch(10)
    return {'train': part, 'validation': part, 'test': part}
"""


@pytest.fixture
def user(tmp_path: Path) -> Callable[..., Dataset]:
    """The data of a user's function that ends so: of two targets, one of them with four steps."""

    def make(body: str, **options: object) -> Dataset:
        module = f"user_weights_{next(NUMBERS)}"
        lines = [
            "import numpy as np",
            "def parts():",
            "    x = np.arange(120, dtype='float32').reshape(40, 3)",
            "    y = {'a': np.arange(40) % 2, 'b': np.arange(160).reshape(40, 4) % 3}",
            "    w = {'b': np.ones((40, 4)), 'a': np.arange(40.0)}",
            *(f"    {line.strip()}" for line in body.strip().splitlines()),
        ]
        (tmp_path / f"{module}.py").write_text("\n".join(lines))
        section = {"function": f"{module}:parts", "task": "classification", **options}
        return load(DatasetSpec.model_validate(section), [tmp_path])

    return make


def test_weights_are_divided_with_their_samples_in_the_order_of_the_targets(user: Callable[..., Dataset]) -> None:
    dataset = user("return {'train': (x, y, w)}", validation={"folds": 3}, test=7)
    assert dataset.info.weighted == ("training", "validation", "test")
    for fold in dataset.folds:
        for part in (fold.training, fold.validation, fold.test):
            assert list(part.weights.arrays) == ["a", "b"]
            np.testing.assert_array_equal(part.weights.arrays["a"], part.x[:, 0] / 3)
            assert part.weights.arrays["b"].shape == (len(part), 4)
            assert {one.dtype.name for one in part.weights.arrays.values()} == {"float32"}


def test_none_has_the_samples_of_a_target_count_alike(user: Callable[..., Dataset]) -> None:
    weights = user("return {'train': (x, y, {**w, 'b': None})}").training.weights.arrays
    assert (weights["b"] == 1).all()
    listed = user("return {'train': (x, list(y.values()), [w['a'], None])}").training.weights
    assert listed.listed
    assert (listed.arrays["target_2"] == 1).all()


def test_the_digest_of_several_targets_depends_on_the_weights_of_each(user: Callable[..., Dataset]) -> None:
    digests = {
        user(f"{change}\n{end}").info.digest
        for change in ("pass", "w['b'][3, 2] = 2", "w['a'][3] = 7")
        for end in ("return {'train': (x, y, w)}", PIPELINE)
    }
    assert len(digests) == 6


ARRAYS = "return {'train': (x, y, w)}"
BOTH = (ARRAYS, PIPELINE)
WRONG = [
    ("w['c'] = w['a']", BOTH, "training weights: there is no target 'c'; valid: a, b"),
    ("del w['a']", BOTH, "training weights: each target must have weights, .*, got none for a"),
    ("w = list(w.values())", (ARRAYS,), "training weights: must be a dict as the targets are, got a list"),
    ("y = tuple(y.values())", (PIPELINE,), "training weights: must be a list as the targets are, got a dict"),
    ("y = y['a']", BOTH, "there are not several targets, so weights must be one array, got one for each of "),
    ("w['a'] = w['b']", BOTH, r"weights a: weights must be numbers, one a sample, got shape \('samples', 4\)"),
    ("w['b'] = w['b'][:, :3]", BOTH, r"weights b: .*, one for each of \(4,\), got shape \('samples', 3\)"),
    ("w = w['b']", BOTH, r"weights of steps are an array for each target, got shape \('samples', 4\)"),
    ("w['b'][3, 2] = -1", BOTH, "weights b: weights must be at least 0, got -1 in row 3"),
    ("w['a'][5] = np.nan", BOTH, "weights a: all values must be finite .* the first in row 5"),
    ("w['a'] = w['a'][:9]", (ARRAYS,), "training weights a: must have as many samples"),
    ("y = y['b']", (ARRAYS,), "there are not several targets"),
]


@pytest.mark.parametrize(
    ("change", "end", "message"), [(change, end, message) for change, ends, message in WRONG for end in ends]
)
def test_wrong_weights(user: Callable[..., Dataset], change: str, end: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        user(f"{change}\n{end}")


def test_all_parts_of_arrays_have_weights_of_steps_or_none(user: Callable[..., Dataset]) -> None:
    with pytest.raises(DataError, match=r"weights b: all parts must have weights of one shape, got .* none"):
        user("return {'train': (x, y, w), 'test': (x, y)}")
    # Pipelines train by Keras's fit, which does not mind.
    dataset = user(PIPELINE.replace("'test': part", "'test': part.map(lambda x, y, w: (x, y))"))
    assert dataset.info.weighted == ("training", "validation")


def test_weights_of_a_pipeline_have_one_shape(user: Callable[..., Dataset]) -> None:
    grows = "part = part.concatenate(part.map(lambda x, y, w: (x, y, {**w, 'b': w['b'][:, :1]})))\nreturn"
    with pytest.raises(DataError, match=r"weights b: all samples must have weights .*, got \(4,\) and \(1,\)"):
        user(PIPELINE.replace("return", grows))


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ("x, y, w if number == 0 else None", "epoch 1: all batches must have weights, or none"),
        ("x, y, {**w, 'b': w['b'][:, : 4 - number]}", r"weights b: must have the shape .*, \(4,\), got \(3,\)"),
        (
            "x, y, {name: w[name] for name in list('ab')[number:]}",
            "weights: must be as in .* batch, a, b, got b",
        ),
        ("x, {name: y[name] for name in list('ab')[number:]}", "y: must be as in the first batch, a, b, got b"),
        ("x, {**y, 'b': y['b'] + number}", "epoch 1: labels must be classes 0 to 2, .* got up to 3"),
    ],
)
def test_generated_batches_that_change(tmp_path: Path, batch: str, message: str) -> None:
    module = f"generated_weights_{next(NUMBERS)}"
    (tmp_path / f"{module}.py").write_text(
        "import numpy as np\n"
        "def parts(batch_size, rng):\n"
        "    for number in (0, 1):\n"
        "        x, y = rng.random((batch_size, 3)), {'a': rng.random(batch_size)}\n"
        "        w = {'a': y['a'], 'b': np.ones((batch_size, 4))}\n"
        "        y['b'] = np.arange(4 * batch_size).reshape(batch_size, 4, 1) % 3\n"
        f"        yield {batch}\n"
    )
    section = {"function": f"{module}:parts", "steps_per_epoch": 2, "validation": 20, "test": 20}
    dataset = load(DatasetSpec.model_validate(section), [tmp_path])
    with pytest.raises(DataError, match=message):
        list(batches_of_epoch(dataset, 8, 0, 0))
