"""k models of one kind as one program: each step, evaluation and pause is that of all k at once.

For a small model TensorFlow spends more time on starting operations than on their arithmetic. Here each operation
computes for all models. The graph serves any k, and all models that could share a template; each of the models gets
the figures that it would get alone, up to the order in which numbers are added.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from hpo.data.dataset import Array, Dataset
from hpo.training.keras_compat import lean_adam, loss_of_samples, metric_of_samples
from hpo.training.part_tensors import part_tensors
from hpo.training.pieces import Pieces
from hpo.training.replicated_layers import folded, replicated
from hpo.training.shareable import NotShareable, open_layers
from hpo.training.step_memory import bytes_of_sample, rows_evaluated
from hpo.training.targets import OwnUnitLoss
from hpo.training.template import Copy
from hpo.training.tensors import scaled

Between = Callable[[float], None]
"""What is called between the pieces of an epoch; it may raise to break it off."""

# Of these the state of each weight is computed from that weight and its gradient alone.
_OPTIMIZERS = ("Adadelta", "Adagrad", "Adam", "_FusedAdam", "AdamW", "Adamax", "Ftrl", "Lion", "RMSprop", "SGD")


class Replicas(Copy):
    """The program of k models; see `begin`."""

    def __init__(self, like: keras.Model, dataset: Dataset, keeps_outputs: bool) -> None:
        """`like`: one of the models, compiled. `keeps_outputs`: whether evaluations return what the models put out.

        Raises:
            NotShareable: it has a part that only the model itself can compute.
        """
        super().__init__(like)
        self._dataset, self._keeps_outputs = dataset, keeps_outputs
        self._refuse(like)
        hidden, output = open_layers(like)
        opened = {layer.name for layer in hidden}
        self._layers = [replicated(layer, layer.name in opened) for layer in self.model.layers]
        for one in self._layers:
            if output is not None and one.layer.name == output.name:
                one.open_inputs()
        pairs = [pair for one in self._layers for pair in zip(one.layer.variables, one.variables, strict=True)]
        stacked = {id(own): mine for own, mine in pairs}
        self._trainable = [stacked[id(one)] for one in self.model.trainable_variables]
        self._weights = [stacked[id(one)] for one in self.model.weights]
        self._all = list(stacked.values())
        self.compile(like)
        self._parts = {"training": part_tensors(self.model, dataset, "training", None)}
        self._find_figures()
        self.optimizer = keras.optimizers.deserialize(keras.optimizers.serialize(like.optimizer))
        self.build(self.optimizer, self._trainable)
        self._lean = lean_adam(self.optimizer)
        self._pieces = Pieces()
        number, sums = tf.TensorSpec([], tf.int64), tf.TensorSpec([None, None], tf.float32)
        orders = tf.TensorSpec([None, None], tf.int64)
        self._train = tf.function(
            self._train_steps,
            autograph=False,
            input_signature=[orders, number, number, number, sums, tf.TensorSpec([None], tf.float32)],
        )
        rows = self._parts["training"].each(lambda one: tf.TensorSpec([None, *one.shape[1:]], one.dtype))
        self._test = tf.function(
            self._test_steps, autograph=False, input_signature=[rows.x, rows.y, number, number, number, sums]
        )

    def _refuse(self, like: keras.Model) -> None:
        optimizer = like.optimizer
        if type(like) is not keras.Sequential:
            raise NotShareable("the model is no chain of layers")
        if type(optimizer).__name__ not in _OPTIMIZERS or any(
            getattr(optimizer, name, None) for name in ("clipnorm", "global_clipnorm", "loss_scale_factor")
        ):
            raise NotShareable("the optimizer computes with several weights at once")
        if (like.get_compile_config() or {}).get("loss_weights") is not None:
            raise NotShareable("the loss is weighted")

    def _find_figures(self) -> None:
        """The loss and the metrics of single samples; Keras makes them when it sees the first ones."""
        few = self._parts["training"].each(lambda one: one[:2])
        self.model.test_step((scaled(few.x, self._dataset.info.scaling), few.y))
        self.model.reset_metrics()
        metrics = [one for metric in self.model.metrics[1:] for one in getattr(metric, "metrics", [metric])]
        figures = {"loss": loss_of_samples(self.model, OwnUnitLoss)} | {
            one.name: metric_of_samples(one) for one in metrics
        }
        if unknown := [name for name, one in figures.items() if one is None]:
            raise NotShareable(f"{unknown[0]} is no mean over samples")
        self._figures = figures

    # The state of the models

    def begin(self, model: keras.Model, states: Sequence[Sequence[Array]]) -> None:
        """Begins with models that differ in their first state alone.

        Args:
            model: one of them, compiled and not yet trained.
            states: the variables of the layers of each, in the order of `[v for layer in model.layers for v in
                layer.variables]`.
        """
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        self.take_settings(model)
        self._of_sample = bytes_of_sample(model)
        for mine, values in zip(self._all, zip(*states, strict=True), strict=True):
            mine.value.assign(np.stack(values))
        for mine, theirs in zip(self.optimizer.variables, model.optimizer.variables, strict=True):
            # Of each weight there is one for each model; the number of the step and the rate are the same for all.
            value, own = theirs.numpy(), len(mine.value.shape) > len(theirs.shape)
            mine.value.assign(np.repeat(value[None], len(states), 0) if own else value)
        self._pieces.forget()

    def keep(self, places: Sequence[int]) -> None:
        """Goes on with some of the models, those at these places."""
        slots = [one for one in self.optimizer.variables if len(one.value.shape)]
        for variable in (*self._all, *slots):
            variable.value.assign(tf.gather(variable.value, list(places)))

    def weights_of(self, place: int) -> list[Array]:
        """The weights of a model, in the order of `model.get_weights()`."""
        return [one.value[place].numpy() for one in self._weights]

    @property
    def count(self) -> int:
        """The number of models."""
        return int(self._weights[0].value.read_value().shape[0])

    # Training and evaluation

    def train(
        self, orders: Array, batch_size: int, between: Between, rates: Array | None = None
    ) -> list[dict[str, float]]:
        """Trains an epoch; returns loss and metrics of each model, as `model.fit` logs them.

        Args:
            orders: the order of the training samples for each model, shape (k, n).
            batch_size: samples of a step.
            between: called between pieces.
            rates: the learning rate of each step, shape (steps,); None: the optimizer's own throughout.
        """
        k, samples = orders.shape
        steps = -(-samples // batch_size)
        if rates is None:
            rates = np.full(steps, float(self.optimizer.learning_rate.value), np.float32)
        given = tf.constant(orders, tf.int64), tf.constant(batch_size, tf.int64)
        rate = tf.constant(rates, tf.float32)

        def piece(start: tf.Tensor, end: tf.Tensor, sums: tf.Tensor) -> tf.Tensor:
            return self._train(*given, start, end, sums, rate)

        sums = self._in_pieces("train", steps, k, piece, between)
        return self._logs(sums, samples)

    def evaluate(self, name: str, between: Between) -> tuple[list[dict[str, float]], Array | None]:
        """Loss and metrics of each model on a part, and what the models put out, shape (k, n, ...), if that is kept."""
        if name not in self._parts:
            self._parts[name] = part_tensors(self.model, self._dataset, name, None)
        part, k, samples = self._parts[name], self.count, len(self._dataset.part(name))
        rows = rows_evaluated(k, self._of_sample)
        outputs: list[Array] = []

        def piece(start: tf.Tensor, end: tf.Tensor, sums: tf.Tensor) -> tf.Tensor:
            done, kept = self._test(part.x, part.y, tf.constant(rows, tf.int64), start, end, sums)
            outputs.append(kept)
            return done

        sums = self._in_pieces("test", -(-samples // rows), k, piece, between)
        return self._logs(sums, samples), np.concatenate(outputs, 1) if self._keeps_outputs else None

    def evaluate_at(self, weights: Sequence[Sequence[Array]], name: str) -> tuple[list[dict[str, float]], Array | None]:
        """The same of models with other weights, any number of them; the state of the models stays as it is."""
        before = [one.value.read_value() for one in self._weights]
        try:
            for variable, values in zip(self._weights, zip(*weights, strict=True), strict=True):
                variable.value.assign(np.stack(values))
            return self.evaluate(name, lambda _: None)
        finally:
            for variable, value in zip(self._weights, before, strict=True):
                variable.value.assign(value)

    def _in_pieces(self, kind: str, steps: int, k: int, run: Callable[..., tf.Tensor], between: Between) -> tf.Tensor:
        """Runs steps; returns the sums of all models, shape (figures, k)."""
        sums = tf.zeros([len(self._figures), k])

        def piece(start: tf.Tensor, end: tf.Tensor) -> None:
            nonlocal sums
            sums = run(start, end, sums)

        self._pieces.run(kind, steps, piece, lambda: between(0.0))
        return sums

    def _logs(self, sums: tf.Tensor, samples: int) -> list[dict[str, float]]:
        means = sums.numpy() / samples
        return [dict(zip(self._figures, map(float, of_model), strict=True)) for of_model in means.T]

    def _train_steps(
        self,
        orders: tf.Tensor,
        batch_size: tf.Tensor,
        start: tf.Tensor,
        end: tf.Tensor,
        sums: tf.Tensor,
        rates: tf.Tensor,
    ) -> tf.Tensor:
        part, variables = self._parts["training"], self._trainable
        before = tf.cast(self.optimizer.iterations.value.read_value(), tf.int64)

        def step(index: tf.Tensor, sums: tf.Tensor) -> list[tf.Tensor]:
            rows = orders[:, index * batch_size : (index + 1) * batch_size]
            self.optimizer.learning_rate.value.assign(rates[index])
            x = scaled(tf.gather(part.x, rows), self._dataset.info.scaling)
            with tf.GradientTape() as tape:
                figures = self._of_samples(x, tf.gather(part.y, rows), True)
                loss = tf.reduce_mean(figures[0], 1) + sum(self._penalties())
                # Each model's gradient is that of its own loss.
                total = tf.reduce_sum(loss)
            gradients = tape.gradient(total, [one.value for one in variables])
            if self._lean is None:
                self.optimizer.apply(gradients, variables)
            else:
                self._lean(gradients, variables, before + index - start + 1)
            size = tf.cast(tf.shape(rows)[1], tf.float32)
            return [index + 1, sums + tf.stack([loss * size, *(tf.reduce_sum(one, 1) for one in figures[1:])])]

        _, done = tf.while_loop(lambda index, _: index < end, step, [start, sums], parallel_iterations=1)
        if self._lean is not None:
            with tf.control_dependencies([done]):
                iterations = self.optimizer.iterations.value
                iterations.assign(tf.cast(before + end - start, iterations.dtype))
        return done

    def _test_steps(
        self, x: tf.Tensor, y: tf.Tensor, rows: tf.Tensor, start: tf.Tensor, end: tf.Tensor, sums: tf.Tensor
    ) -> tuple[tf.Tensor, Any]:
        k = tf.shape(sums)[1]
        penalty = sum(self._penalties())

        def step(index: tf.Tensor, sums: tf.Tensor, kept: tf.TensorArray) -> tuple[Any, ...]:
            few = slice(index * rows, (index + 1) * rows)
            of_all = scaled(x[few], self._dataset.info.scaling)[None]
            truth = y[few]
            truth = tf.broadcast_to(truth[None], tf.concat([[k], tf.shape(truth)], 0))
            outputs: list[tf.Tensor] = []
            loss, *others = self._of_samples(of_all, truth, False, outputs)
            size = tf.cast(tf.shape(truth)[1], tf.float32)
            found = [tf.reduce_sum(loss, 1) + penalty * size, *(tf.reduce_sum(one, 1) for one in others)]
            if self._keeps_outputs:
                # Written with the samples first, since the last step has fewer.
                kept = kept.write(tf.cast(index - start, tf.int32), tf.cast(_swapped(outputs[0]), tf.float32))
            return index + 1, sums + tf.stack(found), kept

        kept = tf.TensorArray(tf.float32, tf.cast(end - start, tf.int32), infer_shape=False)
        _, done, kept = tf.while_loop(lambda index, *_: index < end, step, [start, sums, kept], parallel_iterations=1)
        return done, _swapped(kept.concat()) if self._keeps_outputs else tf.zeros([])

    def _of_samples(
        self, x: tf.Tensor, y: tf.Tensor, training: bool, outputs: list[tf.Tensor] | None = None
    ) -> list[tf.Tensor]:
        """Loss and metrics of each sample of each model, each of shape (k, n); without penalties.

        Args:
            x: scaled samples, shape (k, n, ...), or (1, n, ...) where all models see the same ones.
            y: what is true of them, shape (k, n, ...).
            training: whether layers behave as in training.
            outputs: gets what the models put out, shape (k, n, ...).
        """
        *layers, last = self._layers
        for layer in layers:
            x = layer(x, training)
        flat, truth = last.flat(x, training), folded(y)
        if outputs is not None:
            outputs.append(tf.reshape(flat, tf.concat([tf.shape(y)[:2], tf.shape(flat)[1:]], 0)))
        found = []
        for name, figure in self._figures.items():
            label = tf.cast(truth, tf.float32) if name == "loss" and truth.dtype.is_floating else truth
            values = tf.cast(figure(label, flat), tf.float32)
            values = tf.reduce_mean(tf.reshape(values, [tf.shape(flat)[0], -1]), 1)
            found.append(tf.reshape(values, tf.shape(y)[:2]))
        return found

    def _penalties(self) -> list[tf.Tensor]:
        return [one for layer in self._layers for one in layer.penalties()] or [tf.zeros([])]


def _swapped(x: tf.Tensor) -> tf.Tensor:
    """A tensor with its first two axes changed."""
    return tf.transpose(x, tf.concat([[1, 0], tf.range(2, tf.rank(x))], 0))
