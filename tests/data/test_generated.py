"""Data generated without end: fixed parts, fresh batches, and what is wrong with a generator."""

import itertools
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hpo.config.experiment import DatasetSpec
from hpo.data import Dataset, load, open_prepared, save
from hpo.data.generated import batches_of_epoch
from hpo.errors import DataError

# Python imports a module of one name once.
NUMBERS = itertools.count()
ENDLESS = """
    while True:
        x = rng.normal(5, 2, (batch_size, 3))
        yield x, (x[:, 0] > x[:, 1]).astype(int)
"""
SIZES = {"steps_per_epoch": 4, "validation": 30, "test": 20}


@pytest.fixture
def generated(tmp_path: Path) -> Callable[..., Dataset]:
    """Loads what a user's generator of that body yields."""

    def make(body: str = ENDLESS, arguments: str = "batch_size, rng", **options: object) -> Dataset:
        module = f"generating_{next(NUMBERS)}"
        text = f"import numpy as np\n\ndef batches({arguments}):\n{textwrap.indent(textwrap.dedent(body), '    ')}"
        (tmp_path / f"{module}.py").write_text(text)
        section = {"function": f"{module}:batches", **SIZES, **options}
        return load(DatasetSpec.model_validate({key: value for key, value in section.items() if value}), [tmp_path])

    return make


def test_parts_are_drawn_once_and_apart_from_each_other(generated: Callable[..., Dataset]) -> None:
    dataset = generated()
    assert dataset.info.sizes == {"training": 1000, "validation": 30, "test": 20}
    assert (dataset.info.task, dataset.info.classes, dataset.info.scaling.method) == ("classification", 2, "none")
    assert (dataset.info.steps_per_epoch, dataset.info.steps(17)) == (4, 4)
    again, other = generated(), generated(seed=1)
    np.testing.assert_array_equal(again.validation.x, dataset.validation.x)
    assert (other.test.x != dataset.test.x).all()
    other = generated(validation={"size": 30, "seed": 1})
    assert (other.validation.x != dataset.validation.x).all()
    np.testing.assert_array_equal(other.test.x, dataset.test.x)
    parts = (dataset.training, dataset.validation, dataset.test)
    for one, two in itertools.combinations(parts, 2):
        assert not np.isin(one.x, two.x).any()
    assert generated(scaling="standard").info.scaling.offset == pytest.approx([5, 5, 5], abs=0.3)


def test_batches_are_fresh_each_epoch_and_the_same_for_the_same_trial(
    generated: Callable[..., Dataset], tmp_path: Path
) -> None:
    save(generated(), tmp_path / "data")
    dataset = open_prepared(tmp_path / "data")
    first = list(batches_of_epoch(dataset, 16, seed=3, epoch=0))
    assert [(part.x.shape, part.y.shape, part.y.dtype) for part in first] == [((16, 3), (16,), np.int32)] * 4
    everything = np.concatenate([part.x for part in first])
    for seed, epoch in ((3, 1), (4, 0), (0, 3)):
        others = np.concatenate([part.x for part in batches_of_epoch(dataset, 16, seed, epoch)])
        assert not np.isin(others, everything).any()
    for part in (dataset.training, dataset.validation, dataset.test):
        assert not np.isin(part.x, everything).any()
    again = np.concatenate([part.x for part in batches_of_epoch(dataset, 16, seed=3, epoch=0)])
    np.testing.assert_array_equal(again, everything)


@pytest.mark.parametrize(
    ("body", "options", "message"),
    [
        ("return x", {}, "steps_per_epoch is for a generator function .* leave steps_per_epoch out"),
        (ENDLESS, {"steps_per_epoch": None}, "yields batches without end; say how many of them make an epoch"),
        (ENDLESS, {"validation": 0.2}, r"must be a number of samples, got 0\.2"),
        (ENDLESS, {"test": None}, r"must be a number of samples, got 0\.2"),
        (ENDLESS, {"validation": {"folds": 3}}, "leave out folds"),
        (ENDLESS, {"arguments": "batch_size"}, r"must take \(batch_size, rng\): too many"),
        ("yield 3", {}, r"must yield \(x, y\) or \(x, y, weights\) of arrays, got int"),
        (
            "yield np.ones((5, 2)), np.ones(5)",
            {},
            r"must have batch_size samples.* 1000, got shapes \(5, 2\) and \(5,\)",
        ),
        ("yield np.ones((batch_size, 2)) / 0, np.ones(batch_size)", {}, "RuntimeWarning: divide by zero"),
        ("yield np.full((batch_size, 2), np.nan), np.ones(batch_size)", {}, "training x: all values must be finite"),
        ("yield np.ones((batch_size, 2)), np.full(batch_size, 'a')", {}, "generated labels must be numbers, got <U1"),
    ],
)
def test_what_generates_no_batches_says_why(
    generated: Callable[..., Dataset], body: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        generated(body, **options)


def test_steps_per_epoch_of_other_data(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="leave it out of iris") as caught:
        load(DatasetSpec(name="iris", steps_per_epoch=3), [])
    assert caught.value.key == ("dataset", "steps_per_epoch")


def test_what_changes_on_the_way_is_found_in_training(generated: Callable[..., Dataset]) -> None:
    ends = generated(
        "for number in range(3):\n    yield np.ones((batch_size, 2)) * rng.random(), rng.random(batch_size)"
    )
    with pytest.raises(DataError, match="must yield batches without end, and came to its end after 3"):
        list(batches_of_epoch(ends, 8, 0, 0))
    grows = "for width in (2, 3):\n    yield rng.random((batch_size, width)), rng.random(batch_size)"
    with pytest.raises(DataError, match=r"epoch 1: x must be as in the first batch, .* got float64 of shape \(3,\)"):
        list(batches_of_epoch(generated(grows), 8, 0, 0))
    classes = "for most in (2, 7):\n    yield rng.random((batch_size, 2)), np.arange(batch_size) % most"
    with pytest.raises(DataError, match=r"epoch 1: labels must be classes 0 to 1, .* got up to 6"):
        list(batches_of_epoch(generated(classes), 8, 0, 0))


def test_the_training_part_is_a_thousand_samples_unless_limited(generated: Callable[..., Dataset]) -> None:
    assert generated(limit=40).info.sizes["training"] == 40
    assert generated(limit=1001).info.sizes["training"] == 1000
    with pytest.raises(DataError, match=r"must be a number of samples, got 0\.5") as caught:
        generated(test=0.5)
    assert caught.value.key == ("dataset", "test")
    with pytest.raises(DataError) as caught:
        generated(validation=0.5)
    assert caught.value.key == ("dataset", "validation")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("np.arange(batch_size) % 2 - number", "labels must be classes 0 to 1, .* got up to 0"),
        ("np.arange(batch_size) % 2 + number", "labels must be classes 0 to 1, .* got up to 2"),
        (
            "np.eye(2)[np.arange(batch_size) % 2][:, : 2 - number]",
            r"y: must have the shape .* \(2,\), got \(1,\)",
        ),
        ("rng.random((batch_size, 2 + number))", r"y: must have the shape .* \(2,\), got \(3,\)"),
        (
            "rng.random(batch_size)[:, None] if number == 0 else rng.random((batch_size, 2))",
            r"y: must have the shape .* \(\), got \(2,\)",
        ),
    ],
)
def test_labels_that_change_are_found_in_training(generated: Callable[..., Dataset], labels: str, message: str) -> None:
    # The first batch of each draw is as it should be.
    dataset = generated(f"for number in (0, 1):\n    yield rng.random((batch_size, 3)), {labels}")
    with pytest.raises(DataError, match=f"epoch 3: {message}"):
        list(batches_of_epoch(dataset, 8, 0, 2))


@pytest.mark.parametrize(
    ("x", "shape"),
    [("rng.random((batch_size + number, 3))", r"\(9, 3\) and \(8,\)"), ("rng.random(batch_size)", r"\(1000,\) and")],
)
def test_batches_of_another_size_are_refused(generated: Callable[..., Dataset], x: str, shape: str) -> None:
    def load_and_train() -> None:
        dataset = generated(f"for number in (0, 1):\n    yield {x}, np.arange(batch_size) % 2")
        list(batches_of_epoch(dataset, 8, 0, 0))

    with pytest.raises(DataError, match=f"must have batch_size samples and labels, .* {shape}"):
        load_and_train()


def test_labels_of_regression_and_of_one_column(generated: Callable[..., Dataset]) -> None:
    dataset = generated("while True:\n    yield rng.random((batch_size, 3)), rng.random((batch_size, 1))")
    batches = list(batches_of_epoch(dataset, 8, 0, 0))
    assert [(part.y.shape, part.y.dtype) for part in batches] == [((8,), np.float32)] * 4
    dataset = generated("while True:\n    yield rng.random((batch_size, 3)), np.eye(2)[np.arange(batch_size) % 2]")
    assert [(part.y.shape, part.y.dtype) for part in batches_of_epoch(dataset, 8, 0, 0)] == [((8, 2), np.float32)] * 4
