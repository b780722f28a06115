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
    """Trains by one `tf.function` an epoch around `model.train_step`, and nothing else: the least that it can cost."""
    model, batch = job.build_model(params), params["batch_size"]
    x, y = tf.constant(data.x_train), tf.constant(data.y_train)

    @tf.function(autograph=False)
    def train(order: tf.Tensor) -> None:
        def step(index: tf.Tensor) -> tf.Tensor:
            rows = order[index * batch : (index + 1) * batch]
            model.train_step((tf.gather(x, rows), tf.gather(y, rows)))
            return index + 1

        steps = -(-len(data.x_train) // batch)
        tf.while_loop(lambda index: index < steps, step, [tf.constant(0)], parallel_iterations=1)

    @tf.function(autograph=False, reduce_retracing=True)
    def test(x_test: tf.Tensor, y_test: tf.Tensor) -> None:
        def step(index: tf.Tensor) -> tf.Tensor:
            rows = slice(index * _EVALUATION_BATCH, (index + 1) * _EVALUATION_BATCH)
            model.test_step((x_test[rows], y_test[rows]))
            return index + 1

        steps = -(-tf.shape(x_test)[0] // _EVALUATION_BATCH)
        tf.while_loop(lambda index: index < steps, step, [tf.constant(0)], parallel_iterations=1)

    model.optimizer.build(model.trainable_variables)
    validation = tf.constant(data.x_val), tf.constant(data.y_val)
    for epoch in range(epochs):
        model.reset_metrics()
        train(tf.constant(np.random.default_rng(epoch).permutation(len(data.x_train))))
        model.get_metrics_result()
        model.reset_metrics()
        test(*validation)
        model.get_metrics_result()
    model.reset_metrics()
    test(tf.constant(data.x_test), tf.constant(data.y_test))
    model.get_metrics_result()
