"""Class weights and the user's callbacks: the same inside the graph and through `model.fit`."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from hpo.data import open_prepared
from hpo.models import InvalidModel
from hpo.training.class_weights import sample_weights, weighed, weights_by_class
from hpo.training.messages import Finished


@pytest.fixture(scope="module")
def info(prepared):
    return dataclasses.replace(open_prepared(prepared(name="iris")).info, classes=3)


def test_a_weight_for_each_sample(info):
    y = np.array([0, 1, 1, 2, 2, 2])
    assert sample_weights(None, y, info) is None
    assert sample_weights({"1": 3.0}, y, info).tolist() == [1, 3, 3, 1, 1, 1]
    # n / (classes * count): scikit-learn's compute_class_weight("balanced").
    balanced = [2, 1, 1, 2 / 3, 2 / 3, 2 / 3]
    assert sample_weights("balanced", y, info).tolist() == pytest.approx(balanced)
    assert sample_weights("balanced", np.eye(3)[y], info).tolist() == pytest.approx(balanced)
    assert sample_weights({"0": 5.0, "2": 0.5}, y, info).tolist() == [5, 1, 1, 0.5, 0.5, 0.5]
    # A class that does not occur takes nothing from the others.
    assert sample_weights("balanced", np.array([0, 2, 2, 2]), info).tolist() == pytest.approx([4 / 3] + [4 / 9] * 3)
    assert sample_weights({"1": 3.0}, y, info).dtype == np.float32


def test_data_without_classes_has_no_class_weights(info):
    with pytest.raises(InvalidModel, match="class_weight: there is no class 3; valid: setosa, versicolor, virginica"):
        sample_weights({"0": 1.0, "3": 1.0}, np.array([0]), info)
    assert weights_by_class(None, info) is None
    assert weights_by_class({"1": 2.0, "setosa": 3.0}, info) == {1: 2.0, 0: 3.0}
    with pytest.raises(InvalidModel, match="balanced counts the labels"):
        weights_by_class("balanced", info)
    regression = dataclasses.replace(info, task="regression", classes=None)
    with pytest.raises(InvalidModel, match="only classification has classes"):
        sample_weights("balanced", np.array([0.5]), regression)


def test_class_weights_count_alike_in_the_graph_and_through_fit(run_job):
    # One batch an epoch, whose order says nothing.
    training = {"epochs": 3, "batch_size": 1000, "class_weight": {0: 9.0, 3: 0.1}}
    in_graph = run_job(training=training)
    by_fit = run_job(training={**training, "callbacks": ["own_code:CountBatches"]})
    assert in_graph.events[0].note is None
    assert by_fit.events[0].note.endswith("a callback needs each batch")
    for name, curve in in_graph.curves.items():
        assert curve == pytest.approx(by_fit.curves[name], rel=1e-3), name
    plain = run_job(training={**training, "class_weight": None})
    assert plain.curves["loss"] != pytest.approx(in_graph.curves["loss"], rel=1e-2)


@pytest.mark.parametrize("one_hot", [False, True])
def test_class_weights_multiply_the_weights_of_a_pipeline(info, one_hot):
    y, weights = np.array([0, 1, 2, 2]), np.array([1.0, 2.0, 3.0, 0.0])
    labels = np.eye(3)[y] if one_hot else y[:, None]
    batches = tf.data.Dataset.from_tensor_slices((np.zeros((4, 1)), labels, weights)).batch(3)
    found = weighed(batches, {1: 5.0, 2: 0.5}, dataclasses.replace(info, one_hot=one_hot))
    assert np.concatenate([w for _, _, w in found.as_numpy_iterator()]).tolist() == [1, 10, 1.5, 0]


def test_a_callback_of_the_users_is_called_after_each_epoch(run_job):
    training = {"epochs": 3, "learning_rate": 0.08, "callbacks": ["own_code:HalveTheRate"]}
    line = run_job(training=training)
    assert isinstance(line.last, Finished)
    assert line.events[0].note == "a graph is traced for each trial: callbacks may change the model"
    assert line.curves["learning_rate"] == pytest.approx([0.04, 0.02, 0.01])


def test_an_object_that_is_no_callback_is_refused(run_job):
    failed = run_job(training={"callbacks": ["own_code:no_callback"]}).last
    assert failed.message == "own_code:no_callback: must make a keras.callbacks.Callback, made 'nothing'"
