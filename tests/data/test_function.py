"""The user's own functions: arrays and tf.data pipelines, and what is wrong with them."""

import itertools
import re
import textwrap
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpo.config.experiment import DatasetSpec
from hpo.data import Dataset, load, open_prepared, save
from hpo.data.function import is_batched
from hpo.errors import DataError

# Python imports a module of one name once.
NUMBERS = itertools.count()


@pytest.fixture(scope="module", autouse=True)
def _tensorflow() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own dependencies
        import tensorflow  # noqa: F401


@pytest.fixture
def user(tmp_path: Path):
    """Loads what a user's function of that body returns."""

    def run(body: str, **options: Any) -> Dataset:
        module = f"user_data_{next(NUMBERS)}"
        lines = [
            "import numpy as np",
            "x = np.arange(600, dtype='float32').reshape(200, 3)",
            "y = np.arange(200) % 4",
            "def slices(x, y):",
            "    import tensorflow as tf",
            "    return tf.data.Dataset.from_tensor_slices((x, y))",
            "def parts():",
            textwrap.indent(textwrap.dedent(body), "    "),
        ]
        (tmp_path / f"{module}.py").write_text("\n".join(lines))
        return load(DatasetSpec(function=f"{module}:parts", **options), [tmp_path])

    return run


PIPELINES = "return {'train': slices(x, y), 'validation': slices(x[:50], y[:50]), 'test': slices(x[:20], y[:20])}"


def test_arrays_by_part(user) -> None:
    dataset = user("return {'train': (x, y), 'validation': (x[:9], y[:9]), 'test': (x[:5], y[:5])}")
    assert dataset.info.sizes == {"training": 200, "validation": 9, "test": 5}
    assert dataset.info.source.endswith(":parts")
    assert dataset.stream is None


def test_arrays_as_keras_datasets_return_them(user) -> None:
    dataset = user("return (x, y), (x[:40], y[:40])", validation=20)
    assert dataset.info.sizes == {"training": 180, "validation": 20, "test": 40}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise OSError('disk on fire')", r"parts: .*user_data\w*\.py:8: OSError: disk on fire"),
        ("return 3", "must return a mapping of train, test and validation.*got int"),
        ("return {'trian': (x, y)}", r"unknown part 'trian'; did you mean train\?"),
        ("return {'test': (x, y)}", "must return a part train, got only: test"),
        ("return (x, y)", "must return a mapping of train, test and validation.*got tuple of 2"),
        (
            "return {'train': (x, y, y, y)}",
            r"must be x, \(x, y\), \(x, y, weights\) or a tf.data.Dataset, got tuple of 4",
        ),
        (
            "return {'train': (x, y, x)}",
            r"training weights: weights must be numbers, one a sample, got shape \('samples', 3\)",
        ),
        (
            "z = x.astype(int)[:, :, None] % 2\nreturn {'train': (x, z, x), 'test': (x, z, y)}",
            r"all parts must have weights of one shape, got \('samples', 3\), \('samples',\)",
        ),
        (
            "z = x.astype(int)[:, :, None] % 2\nreturn {'train': (x, z, x[:, :2])}",
            r"weights must be numbers, one for each of \(3,\), got shape \('samples', 2\)",
        ),
        (
            "z = np.zeros((200, 4, 5), int); z[:, 0] = 1\nreturn {'train': (x, z, np.ones((200, 4)))}",
            r"weights must be numbers, one for each of \(4, 5\), got shape \('samples', 4\)",
        ),
        ("return {'train': (x, y, y - 1.5)}", "training weights: weights must be at least 0, got -1.5 in row 0"),
        ("return {'train': ({'a': x, 'b': x[:9]}, y)}", "x a and .*x b: must have as many samples, got 200 and 9"),
        ("return {'train': ([[1], [1, 2]], y)}", "training x: must be an array"),
        ("return {'train': (x, y[:-1])}", "training x and .*training y: must have as many .* got 200 and 199"),
        ("return {'train': (x[:, 0], y)}", r"training x: features must have shape .* got \(200,\)"),
        (
            "return {'train': ([{}] * 200, y)}",
            r"training x: must be an array of one plain type, .*dict \(\{\} in row 0",
        ),
        ("return {'train': (x, y), 'test': (x[:0], y[:0])}", "test x: must have at least one sample, got none"),
        ("return {'train': (x, y), 'test': (x[:, :2], y)}", r"test x: samples must have .* \(3,\), got \(2,\)"),
        ("x[3, 1] = x[7] = np.nan; return {'train': (x, y)}", "training x: .* got 4 .* the first in row 3"),
        ("return {'train': (x, np.where(y > 2, np.inf, y))}", "training y: .* got 50 .* the first in row 3"),
        ("return {'train': (x, y), 'test': (x, y + 1)}", "test y: label 4 in row 3"),
        ("return {'train': slices(x, y)}", "cannot be split, .* all required; validation is missing"),
        ("return {'train': slices(x, y), 'validation': (x, y), 'test': slices(x, y)}", "all parts must be arrays or"),
    ],
)
def test_wrong_returns(user, body: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        user(body)


def test_function_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no_such_module_of_data"):
        load(DatasetSpec(function="no_such_module_of_data:parts"), [tmp_path])


def test_pipelines_are_surveyed_and_opened_again(user, tmp_path: Path) -> None:
    dataset = user(PIPELINES)
    info = dataset.info
    assert info.sizes == {"training": 200, "validation": 50, "test": 20}
    assert (info.task, info.classes, info.input_shape) == ("classification", 4, (3,))
    assert info.scaling.offset.tolist() == pytest.approx([298.5, 299.5, 300.5])
    assert len(dataset.training) == 0
    save(dataset, tmp_path / "prepared")
    opened = open_prepared(tmp_path / "prepared")
    assert opened.info.digest == info.digest
    batches = list(opened.stream("training", 64).as_numpy_iterator())
    assert [len(x) for x, _ in batches] == [64, 64, 64, 8]
    np.testing.assert_array_equal(np.concatenate([y for _, y in batches]), np.arange(200) % 4)


def test_batches_of_the_users_own_are_kept(user) -> None:
    dataset = user(PIPELINES.replace("slices(x, y)", "slices(x, y).batch(30)"))
    assert [len(x) for x, _ in dataset.stream("training", 64).as_numpy_iterator()] == [30] * 6 + [20]
    dataset = user(PIPELINES.replace("slices(x, y)", "slices(x, y).batch(40, drop_remainder=True)"))
    assert [len(x) for x, _ in dataset.stream("training", 64).as_numpy_iterator()] == [40] * 5
    assert dataset.info.sizes["training"] == 200


def test_digest_is_that_of_the_content(user) -> None:
    first = user(PIPELINES).info
    shuffled = user(PIPELINES.replace("slices(x, y)", "slices(x, y).shuffle(200).batch(7)")).info
    assert shuffled.digest == first.digest
    other = user("x[5, 0] += 1\n" + PIPELINES).info
    assert other.digests["training"] != first.digests["training"]
    assert other.digests["test"] != first.digests["validation"]


def test_one_hot_and_regression_pipelines(user) -> None:
    info = user("y = np.eye(4, dtype='float32')[np.arange(200) % 4]\n" + PIPELINES).info
    assert (info.task, info.one_hot, info.outputs) == ("classification", True, 4)
    info = user("y = np.linspace(0, 1, 200, dtype='float32')\n" + PIPELINES).info
    assert (info.task, info.outputs) == ("regression", 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("slices(x, y).repeat()", "training: must end, and repeats forever"),
        (
            "slices(x, y).repeat().filter(lambda a, b: b > 1).batch(8)",
            "repeats forever; .* need dataset.steps_per_epoch",
        ),
        ("slices(x, y).take(0)", "training: must have at least one sample, got none"),
        ("slices(np.where(x > 595, np.nan, x), y)", "training x: .* got 4 .* the first in row 198"),
        ("slices(x, y).map(lambda a, b: a)", "the validation part has targets, and the training part none"),
        ("slices(x, y).map(lambda a, b: ({'a': a}, b))", "must have the inputs of .*training, a, got a single array"),
        ("slices(x, y).map(lambda a, b: (a, b, b, b))", r"training: must yield x, \(x, y\) or \(x, y, weights\)"),
        ("slices(x, y).map(lambda a, b: (a, b, b - 3)).batch(8)", "weights must be at least 0, got -3 in row 0"),
        (
            "slices(x, y).map(lambda a, b: (a, b, a))",
            r"training weights: weights must be numbers, one a sample, got shape \('samples', 3\)",
        ),
        ("slices(x[:, 0], y).batch(30)", r"training x: features must have shape .* got \(30,\)"),
        ("slices(x, y.astype(str))", "training y: must be an array of one plain type"),
        ("slices(x, y > 1)", "training y: targets of a tf.data.Dataset must be numbers, got bool"),
        ("slices(x, y + 1)", "training y: labels must run from 0 .* subtract 1"),
        ("slices(x[:, :2], y)", r"validation: samples must have the shape of .*training, \(2,\), got \(3,\)"),
        ("slices(x, y).map(lambda a, b: (a[:5 / (b - b)], b))", "TypeError"),
        (
            "slices(x, y).map(lambda a, b: (__import__('tensorflow').debugging.check_numerics(a / 0, 'bang'), b))",
            "training: raised InvalidArgumentError: .*bang",
        ),
    ],
)
def test_wrong_pipelines(user, change: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        user(PIPELINES.replace("slices(x, y)", change))


ENDLESS = """
import itertools
import tensorflow as tf
def endless():
    for number in itertools.count():
        yield x[0], number % 2
kinds = (tf.TensorSpec((3,), tf.float32), tf.TensorSpec((), tf.int64))
made = tf.data.Dataset.from_generator(endless, output_signature=kinds)
"""


@pytest.mark.parametrize("part", ["training", "validation"])
def test_a_generator_that_does_not_end_in_time_is_refused_with_what_to_do(user, monkeypatch, capsys, part) -> None:
    monkeypatch.setattr("hpo.data.tf_dataset._PATIENCE", 0.5)
    monkeypatch.setattr("hpo.system.long_work.FIRST", 0.1)
    train = "made" if part == "training" else "made.take(40)"
    with pytest.raises(DataError, match=rf"{part}: must end, and did not .*steps_per_epoch.*assert_cardinality"):
        user(f"{ENDLESS}return {{'train': {train}, 'validation': made, 'test': made.take(3)}}")
    assert re.search(rf"note: still reading .*{part}, \d+ samples, .*steps_per_epoch", capsys.readouterr().err)


def test_pipelines_that_end_may_take_their_time(user, monkeypatch) -> None:
    monkeypatch.setattr("hpo.data.tf_dataset._PATIENCE", 0.0)
    parts = "{'train': made.take(40), 'validation': slices(x, y).filter(lambda a, b: b < 2), 'test': known}"
    known = "known = made.take(3).apply(tf.data.experimental.assert_cardinality(3))"
    assert user(f"{ENDLESS}{known}\nreturn {parts}").info.sizes == {"training": 40, "validation": 100, "test": 3}


@pytest.mark.parametrize("raised", ["SystemExit('x')", "GeneratorExit('x')", "type('Own', (BaseException,), {})('x')"])
def test_whatever_the_function_raises_is_told_with_its_place(user, raised) -> None:
    with pytest.raises(DataError, match=r"user_data_\d+\.py:8: \w+: x"):
        user(f"raise {raised}")


@pytest.mark.parametrize(
    ("made", "batched"),
    [
        ("slices(x, y)", False),
        ("slices(x, y).batch(4, drop_remainder=True).map(lambda a, b: (a + 1, b)).prefetch(1)", True),
        ("slices(x, y).padded_batch(4).cache().take(2)", True),
        ("slices(x, y).batch(4).unbatch().shuffle(9)", False),
        ("data.zip((data.from_tensor_slices(x), data.from_tensor_slices(y)))", False),
        ("slices(x, y).batch(3).concatenate(slices(x, y).batch(4))", True),
        ("data.from_generator(list, output_signature=(spec([None, 12, 3]), spec([None, 12])))", True),
    ],
)
def test_sequences_with_a_target_a_step_are_no_batches(made: str, batched: bool) -> None:
    import tensorflow as tf

    x, y, data = np.zeros((40, 12, 3), np.float32), np.zeros((40, 12), np.float32), tf.data.Dataset
    names = {"x": x, "y": y, "slices": lambda *both: data.from_tensor_slices(both), "data": data, "spec": tf.TensorSpec}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # AutoGraph finds no source of what is evaluated
        assert is_batched(eval(made, names)) == batched


def test_a_generator_of_what_may_be_batches_or_sequences_is_refused(user) -> None:
    made = "tf.data.Dataset.from_generator(list, output_signature=(tf.TensorSpec([12, 3]), tf.TensorSpec([12])))"
    with pytest.raises(DataError, match=r"training: an element of shapes x \(12, 3\) and y \(12,\) may be a"):
        user("import tensorflow as tf\n" + PIPELINES.replace("slices(x, y)", made))


@pytest.mark.parametrize(
    "labels",
    [
        "np.array(['spam', 'ham'] * 100, dtype=object)",
        "__import__('pandas').Series(['spam', 'ham'] * 100)",
        "__import__('pandas').Series(['spam', 'ham'] * 100, dtype='category')",
    ],
)
def test_text_in_python_objects_names_classes(user, labels: str) -> None:
    info = user(f"return {{'train': (x, {labels})}}").info
    assert (info.task, info.class_names) == ("classification", ("ham", "spam"))


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("(x, np.array(['a', None] * 100, dtype=object))", r"train.* y: .*Python objects: str \(a in row 0\).*missing"),
        ("(x, __import__('pandas').Series(['a', np.nan] * 100))", "y: .*fill the values that are missing"),
        ("(x, np.array(['a', 1] * 100, dtype=object))", r"y: .*int \(1 in row 1\); .*astype\(str\)"),
        ("([[1, 2], [1]] * 100, y)", "x: must be an array: .*need padding"),
        ("(x, [y, y[:5]])", "y: .*need padding"),
        ("({}, y)", "x: must have at least one array, got an empty dict"),
    ],
)
def test_what_is_no_plain_array_is_refused_with_what_to_do(user, part: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        user(f"return {{'train': {part}}}")


def test_pipelines_cannot_be_limited(user) -> None:
    with pytest.raises(DataError, match=r"limit cannot shorten a tf\.data\.Dataset; use its own \.take\(50\)"):
        user(PIPELINES, limit=50)
