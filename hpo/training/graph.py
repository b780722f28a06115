"""An epoch as a few calls: training and validation loop inside TensorFlow's graph, over data in memory.

`model.fit` goes back to Python for every batch, which for small models costs several times what the arithmetic
does. Here the loop over a model's own `train_step` is part of the graph, and Python sees an epoch in pieces of
about PIECE_SECONDS (`pieces.py`), between which it can be stopped. With the same order of samples the figures are
`model.fit`'s.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from hpo.data.dataset import Array, Dataset
from hpo.data.mapped import Mapped
from hpo.data.several import Arrays, joined
from hpo.training import keras_compat
from hpo.training.augmentation import Augment
from hpo.training.compiling import labels_for
from hpo.training.from_disk import is_on_disk
from hpo.training.from_disk import pieces as pieces_of
from hpo.training.lean_step import lean_step_of
from hpo.training.part_tensors import part_tensors, targets_of
from hpo.training.pieces import Pieces
from hpo.training.state import Traced
from hpo.training.tensors import NOTHING, Tensors, prepared
from hpo.training.weights import weights_for

EVALUATION_BATCH = 512
"""Samples a step of an evaluation, which has no gradient to keep."""

FRESH_BYTES = 1 << 24
"""Generated samples held at a time, in bytes, about."""

Weighted = tuple[Array, Arrays, Arrays | None]
"""A batch: unscaled x, y, and sample weights, if any."""


class GraphLoop:
    """Trains and evaluates a compiled model on a dataset.

    `between` is called between the pieces of an epoch with the loss so far, and may raise to break it off.
    """

    def __init__(
        self,
        model: keras.Model,
        dataset: Dataset,
        weights: Arrays | None = None,
        augment: Augment | None = None,
        keeps_outputs: bool = False,
    ) -> None:
        """`weights`: those of the training samples, as a Part has them; as `model.fit`'s sample_weight.

        `augment` changes training batches, once they are scaled. `keeps_outputs`: see `outputs`."""
        self._model = model
        self._dataset = dataset
        self.augment = augment
        self._keeps_outputs = keeps_outputs
        self.outputs: Array | None = None
        """What the model put out in the last evaluation, in the order of the samples."""
        self._weights, self._targets = weights, dict[str, Any]()
        if is_on_disk(dataset):
            dataset = replace(dataset, training=dataset.training.take(slice(0, 2)))
            weights = None if weights is None else weights[:2]
        part = part_tensors(model, dataset, "training", weights)
        if is_on_disk(dataset) or dataset.batches is not None:
            part = part.open()
        self._parts: dict[str, Tensors] = {"training": part}
        self._make_variables()
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        self._lean = lean_step_of(model, part)
        self._traced: set[bool] = set()
        self._known: dict[bool, Traced] = {}
        self.pieces = Pieces()
        """Seconds a step of training and of evaluation; empty for a model that has not run."""
        positions, number = tf.TensorSpec([None], tf.int64), tf.TensorSpec([], tf.int64)
        self._train = tf.function(
            self._train_steps, autograph=False, input_signature=[positions, number, number, number]
        )
        self._train_at_rates = tf.function(
            self._train_steps,
            autograph=False,
            input_signature=[positions, number, number, number, tf.TensorSpec([None], tf.float32)],
        )
        # Any number of samples: one graph serves validation and test.
        rows = self._evaluated(part).each(lambda one: tf.TensorSpec([None, *one.shape[1:]], one.dtype))
        self._test = tf.function(
            self._test_steps, autograph=False, input_signature=[rows.x, rows.y, rows.weights, number, number]
        )

    def _evaluated(self, part: Tensors) -> Tensors:
        """A part as evaluations take it: with weights if any of those that are evaluated has some."""
        weighted = {"validation", "test"} & set(self._dataset.info.weighted)
        if not weighted or part.weights is not NOTHING:
            return part if weighted else replace(part, weights=NOTHING)
        ones = tf.ones(tf.shape(tf.nest.flatten(part.x)[0])[:1])
        return replace(part, weights=weights_for(self._model, ones, self._dataset.info))

    def _make_variables(self) -> None:
        """Makes all variables of the model and its metrics, by a few samples, eagerly.

        Were they made in the graph, TensorFlow would trace it twice. What the samples did to a state, of seeds and
        of layers that are always training, is taken back.
        """
        part, model = self._parts["training"], self._model
        state = [(variable, variable.numpy()) for variable in model.non_trainable_variables]
        model.test_step(self._batch(self._evaluated(part.each(lambda one: one[:2]))))
        for variable, value in state:
            variable.value.assign(value)
        model.reset_metrics()

    def trace(self, moving: bool = False) -> None:
        """Traces the graphs of training and evaluation, which the first step would do else.

        `moving`: the learning rate differs from step to step.
        """
        if moving not in self._traced:
            keras_compat.trace(self._train_at_rates if moving else self._train)
            self._traced.add(moving)

    def traced(self, moving: bool = False) -> Traced:
        """The traced graph of training."""
        if moving not in self._known:
            graph = keras_compat.trace(self._train_at_rates if moving else self._train)
            self._known[moving] = Traced(graph.captured_inputs, keras_compat.keeps_state(graph))
        return self._known[moving]

    @property
    def samples(self) -> list[tf.Variable]:
        """The variables that hold samples, which stand there anew for each step."""
        part = self._parts["training"]
        return [one for one in tf.nest.flatten((part.x, part.y, part.weights)) if isinstance(one, tf.Variable)]

    def rehearse(self, moving: bool = False) -> None:
        """Traces the graphs, and runs a step of each on two samples; the model's state is another afterwards."""
        part = self._parts["training"]
        order, one = np.arange(min(2, len(self._dataset.training))), tf.constant(1, tf.int64)
        rates = np.zeros(1) if moving else None
        self._train_on(order, 2, lambda _: None, rates)
        few = self._evaluated(part.each(lambda one: one[:2]))
        self._test(few.x, few.y, few.weights, one - 1, one)
        self._traced.add(moving)
        self.pieces.forget()

    def train(
        self, order: Array, batch_size: int, between: Callable[[float], None], rates: Array | None = None
    ) -> dict[str, float]:
        """Trains one epoch on the training samples in an order; returns loss and metrics, as `model.fit` logs them.

        `rates`: the learning rate of each step, shape (steps,); None: the optimizer's own throughout.
        """
        if is_on_disk(self._dataset):
            return self._train_pieces(self._read("training", order, batch_size), batch_size, between, rates)
        self._model.reset_metrics()
        self._train_on(order, batch_size, between, rates)
        return self._figures()

    def train_fresh(
        self, batches: Iterable[Weighted], batch_size: int, between: Callable[[float], None], rates: Array | None = None
    ) -> dict[str, float]:
        """Trains one epoch on generated batches, for a dataset that has such; else as `train`."""
        model, info = self._model, self._dataset.info
        made = ((x, labels_for(model, y, info), weights_for(model, w, info)) for x, y, w in _joined(batches))
        return self._train_pieces(made, batch_size, between, rates)

    def _train_pieces(
        self, made: Iterable[Any], batch_size: int, between: Callable[[float], None], rates: Array | None
    ) -> dict[str, float]:
        """Trains one epoch on samples that are not in memory before."""
        self._model.reset_metrics()
        done = 0
        for x, y, weights in made:
            if done:
                between(float(self._model.metrics[0].result()))
            self._parts["training"].assign(x, y, weights)
            steps = -(-len(x) // batch_size)
            own = None if rates is None else rates[done : done + steps]
            self._train_on(np.arange(len(x)), batch_size, between, own)
            done += steps
        return self._figures()

    def _train_on(self, order: Array, batch_size: int, between: Callable[[float], None], rates: Array | None) -> None:
        steps = -(-len(order) // batch_size)
        positions, batch = tf.constant(order, tf.int64), tf.constant(batch_size, tf.int64)
        moving = () if rates is None else (tf.constant(rates, tf.float32),)
        run = self._train if rates is None else self._train_at_rates
        self._in_pieces("train", steps, lambda start, end: run(positions, batch, start, end, *moving), between)

    def evaluate(self, name: str, between: Callable[[float], None]) -> dict[str, float]:
        """Loss and metrics on a part, as `model.evaluate` returns them."""
        self._model.reset_metrics()
        pieces: list[tf.Tensor] = []
        for part, samples in self._to_evaluate(name):

            def run(start: tf.Tensor, end: tf.Tensor, part: Tensors = part) -> None:
                pieces.append(self._test(part.x, part.y, part.weights, start, end))

            self._in_pieces("test", -(-samples // EVALUATION_BATCH), run, between)
        self.outputs = np.concatenate(pieces) if self._keeps_outputs else None
        return self._figures()

    def _to_evaluate(self, name: str) -> Iterator[tuple[Tensors, int]]:
        """A part as a whole or piece by piece, and the samples in it."""
        own = self._dataset.part(name)
        if isinstance(own.x, Mapped):
            batch_size = min(EVALUATION_BATCH, self._dataset.info.window or EVALUATION_BATCH)
            for piece in self._read(name, np.arange(len(own)), batch_size):
                yield self._evaluated(Tensors(*tf.nest.map_structure(tf.constant, piece))), len(piece[0])
            return
        if name not in self._parts:
            self._parts[name] = self._evaluated(part_tensors(self._model, self._dataset, name, own.weights))
        yield self._parts[name], len(own)

    def _read(self, name: str, order: Array, batch_size: int) -> Iterator[Any]:
        """The samples of a part that is on disk, in an order."""
        part, info = self._dataset.part(name), self._dataset.info
        if name not in self._targets:
            self._targets[name] = targets_of(self._model, part, info)
        weights = self._weights if name == "training" else part.weights
        return pieces_of(part, self._targets[name], weights, order, info.window or len(part), batch_size)

    def _in_pieces(
        self, kind: str, steps: int, run: Callable[[tf.Tensor, tf.Tensor], None], between: Callable[[float], None]
    ) -> None:
        """Runs steps; `between` is called with the loss so far."""
        self.pieces.run(kind, steps, run, lambda: between(float(self._model.metrics[0].result())))

    def _train_steps(
        self,
        order: tf.Tensor,
        batch_size: tf.Tensor,
        start: tf.Tensor,
        end: tf.Tensor,
        rates: tf.Tensor | None = None,
    ) -> None:
        part, lean = self._parts["training"], self._lean

        def step(index: tf.Tensor, *sums: tf.Tensor) -> list[tf.Tensor]:
            if rates is not None:
                self._model.optimizer.learning_rate.assign(rates[index])
            rows = order[index * batch_size : (index + 1) * batch_size]
            batch = self._batch(part.each(lambda one: tf.gather(one, rows)), self.augment)
            if lean is not None:
                return [index + 1, *lean.step(batch, sums)]
            self._model.train_step(batch)
            return [index + 1]

        begun = [] if lean is None else lean.begin()
        done = tf.while_loop(lambda index, *_: index < end, step, [start, *begun], parallel_iterations=1)
        if lean is not None:
            lean.end(done[1:])

    def _test_steps(self, x: Any, y: Any, weights: Any, start: tf.Tensor, end: tf.Tensor) -> tf.Tensor | None:
        part = Tensors(x, y, weights)

        def batch(index: tf.Tensor) -> Any:
            rows = slice(index * EVALUATION_BATCH, (index + 1) * EVALUATION_BATCH)
            return self._batch(part.each(lambda one: one[rows]))

        def step(index: tf.Tensor) -> tf.Tensor:
            self._model.test_step(batch(index))
            return index + 1

        def step_kept(index: tf.Tensor, kept: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            outputs = keras_compat.outputs_of_test_step(self._model, batch(index))
            return index + 1, kept.write(tf.cast(index - start, tf.int32), tf.cast(outputs, tf.float32))

        def goes_on(index: tf.Tensor, *_: tf.TensorArray) -> tf.Tensor:
            return index < end

        if not self._keeps_outputs:
            tf.while_loop(goes_on, step, [start], parallel_iterations=1)
            return None
        # The last batch may be a smaller one.
        kept = tf.TensorArray(tf.float32, tf.cast(end - start, tf.int32), infer_shape=False)
        return tf.while_loop(goes_on, step_kept, [start, kept], parallel_iterations=1)[1].concat()

    def _figures(self) -> dict[str, float]:
        return {name: np.asarray(value).item() for name, value in self._model.get_metrics_result().items()}

    def _batch(self, part: Tensors, augment: Augment | None = None) -> Any:
        """Samples as `model.fit` would hand them over: scaled, and changed by `augment`."""
        x = prepared(part.x, self._dataset.info)
        if self._dataset.info.task == "reconstruction":
            part = replace(part, y=x)
        return part.packed(x if augment is None else augment(x))


def _joined(batches: Iterable[Weighted]) -> Iterator[Weighted]:
    """Batches joined to arrays of about FRESH_BYTES, so that Python is called seldom, and memory stays small."""
    batches = iter(batches)
    for first in batches:
        x, y, weights = zip(first, *islice(batches, FRESH_BYTES // max(1, first[0].nbytes)), strict=True)
        yield np.concatenate(x), joined(y), None if weights[0] is None else joined(weights)
