"""What hpo needs of `tf.data` beyond its documentation is as it was: each failure names what to look at."""

import tensorflow as tf

from hpo.data import tf_data_compat as compat

LOOK = f"TensorFlow {tf.__version__} is not as hpo/data/tf_data_compat.py needs it: "


def test_what_a_pipeline_was_made_of() -> None:
    numbers = tf.data.Dataset.range(3)
    repeated = numbers.repeat()
    assert compat.inputs_of(repeated.batch(2)) == [repeated], LOOK + "see inputs_of"
    assert compat.inputs_of(numbers) == [], LOOK + "see inputs_of"
    kinds = [compat.kind_of(one) for one in (numbers, repeated, repeated.batch(2), repeated.take(1))]
    assert kinds == ["Range", "Repeat", "Batch", "Take"], LOOK + "see kind_of"


def test_the_operations_of_a_function() -> None:
    nested = tf.data.Dataset.range(3).flat_map(lambda one: tf.data.Dataset.range(one).repeat())
    assert "RepeatDataset" in compat.operations_of(nested), LOOK + "see operations_of"
    assert compat.operations_of(tf.data.Dataset.range(3)) == [], LOOK + "see operations_of"
