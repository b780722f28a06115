"""Two ways to train one configuration in this process: Keras's `fit`, and a bare loop inside the graph.

Both train some epochs, validate after each, and test once, as hpo does.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks import job

_EVALUATION_BATCH = 512


def by_fit(params: Mapping[str, Any], data: job.Data, epochs: int) -> None:
    """Trains by `model.fit`."""
    model = job.build_model(params)
    model.fit(
        data.x_train,
        data.y_train,
        batch_size=params["batch_size"],
        epochs=epochs,
        validation_data=(data.x_val, data.y_val),
        validation_batch_size=_EVALUATION_BATCH,
        verbose=0,
    )
    model.evaluate(data.x_test, data.y_test, batch_size=_EVALUATION_BATCH, verbose=0)


def by_bare_loop(params: Mapping[str, Any], data: job.Data, epochs: int) -> None:
    """Trains by one `tf.function` an epoch around `model.train_step`, and nothing else: the lower bound of the cost."""
    model, batch = job.build_model(params), params["batch_size"]
    x, y = _packed(data.x_train), tf.constant(data.y_train)

    def train_steps(order: tf.Tensor) -> None:
        def step(index: tf.Tensor) -> tf.Tensor:
            rows = order[index * batch : (index + 1) * batch]
            model.train_step((_scaled(tf.gather(x, rows)), tf.gather(y, rows)))
            return index + 1

        steps = -(-len(data.x_train) // batch)
        tf.while_loop(lambda index: index < steps, step, [tf.constant(0)], parallel_iterations=1)

    def test_steps(x_test: tf.Tensor, y_test: tf.Tensor) -> None:
        def step(index: tf.Tensor) -> tf.Tensor:
            rows = slice(index * _EVALUATION_BATCH, (index + 1) * _EVALUATION_BATCH)
            model.test_step((_scaled(x_test[rows]), y_test[rows]))
            return index + 1

        steps = -(-tf.shape(x_test)[0] // _EVALUATION_BATCH)
        tf.while_loop(lambda index: index < steps, step, [tf.constant(0)], parallel_iterations=1)

    train = tf.function(train_steps, autograph=False)
    test = tf.function(test_steps, autograph=False, reduce_retracing=True)
    model.optimizer.build(model.trainable_variables)
    validation = _packed(data.x_val), tf.constant(data.y_val)
    for epoch in range(epochs):
        model.reset_metrics()
        train(tf.constant(np.random.default_rng(epoch).permutation(len(data.x_train))))
        model.get_metrics_result()
        model.reset_metrics()
        test(*validation)
        model.get_metrics_result()
    model.reset_metrics()
    test(_packed(data.x_test), tf.constant(data.y_test))
    model.get_metrics_result()


def _packed(images: job.Array) -> tf.Tensor:
    """Images as bytes again: to gather them costs a quarter, and their scaling next to nothing."""
    return tf.constant((images * 255).round().astype(np.uint8))


def _scaled(images: tf.Tensor) -> tf.Tensor:
    return tf.cast(images, tf.float32) / 255
