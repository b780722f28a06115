"""Tasks of images, volumes and points on made data; see `keras_tasks.Task`."""

from typing import Any

import keras
import numpy as np
from keras_task import MSE, SPARSE, UNSCALED, Task, made, parts

L, ops = keras.layers, keras.ops

NONE = {"scaling": "none"}

TASKS = {
    "vision_transformer": Task("Vision transformer: patches and attention", {"loss": SPARSE, "metrics": ["accuracy"]}),
    "mlp_mixer": Task("MLP-Mixer: dense layers over patches and channels", {"loss": SPARSE, "metrics": ["accuracy"]}),
    "residual_blocks": Task(
        "Image classification with batch normalization, separable convolutions and shortcuts",
        {"loss": SPARSE, "metrics": ["accuracy"]},
    ),
    "super_resolution": Task(
        "Super-resolution: from small images to large ones", {"loss": MSE, "metrics": ["mae"]}, dataset=UNSCALED
    ),
    "denoising": Task(
        "Denoising autoencoder: noise of a layer that is there in training alone",
        {"loss": MSE, "metrics": ["mae"]},
        dataset={"task": "reconstruction"},
        target="x",
    ),
    "keypoints": Task(
        "Keypoint detection: a place for each of several points", {"loss": MSE, "metrics": ["mae"]}, dataset=UNSCALED
    ),
    "detection": Task(
        "Object detection: a box and a class for each image",
        {"loss": {"box": MSE, "kind": SPARSE}, "metrics": {"box": ["mae"], "kind": ["accuracy"]}},
        dataset=UNSCALED,
    ),
    "volumes": Task("3D image classification of scans", {"loss": SPARSE, "metrics": ["accuracy"]}, dataset=NONE),
    "point_cloud": Task(
        "Point cloud classification, with a regularizer of one's own",
        {"loss": SPARSE, "metrics": ["accuracy"]},
        dataset=NONE,
    ),
    "mixup": Task(
        "MixUp augmentation: a train_step of its own, with targets",
        {"loss": "categorical_crossentropy", "metrics": ["accuracy"]},
        batch=60,
    ),
    "distillation": Task(
        "Knowledge distillation: a loss of the model's own, from targets and a teacher",
        {"loss": SPARSE, "metrics": ["accuracy"]},
    ),
    "contrastive": Task("Contrastive pretraining: two views of an image, without targets", {}, target="none"),
    "metric_learning": Task(
        "Metric learning: a loss of pairs of samples within a batch",
        {"loss": "keras_tasks_of_images:together"},
        training={"loss": "keras_tasks_of_images:together"},
        dataset={"task": "custom"},
    ),
    "triplets": Task("Siamese network with a triplet loss: three inputs, no targets", {}, dataset=NONE, target="none"),
    "captcha": Task(
        "Reading captchas: CTC, targets shorter than what the model puts out",
        {"loss": "ctc"},
        training={"loss": "ctc"},
        dataset={"task": "custom"},
    ),
    "next_frame": Task(
        "Next-frame prediction by a convolutional LSTM",
        {"loss": MSE, "metrics": ["mae"]},
        dataset={**NONE, **UNSCALED},
    ),
    "captioning": Task(
        "Image captioning: an image and the words so far, a label for each next word",
        {"loss": SPARSE, "metrics": ["accuracy"]},
        dataset={**NONE, "task": "classification"},
    ),
}


def images(size: int = 8) -> Any:
    return made().integers(0, 256, (100, size, size, 1), dtype=np.uint8)


def labelled_images() -> Any:
    x = images()
    return parts(x, (x[:, :, :, 0].mean(axis=(1, 2)) > 127).astype(int) + (x[:, 0, 0, 0] > 200))


vision_transformer_data = mlp_mixer_data = residual_blocks_data = distillation_data = metric_learning_data = (
    labelled_images
)


def _patches(x: Any) -> Any:
    return L.Reshape((4, 8))(L.Conv2D(8, 4, strides=4)(x))


@keras.saving.register_keras_serializable()
class Positions(keras.layers.Layer):
    """Adds a learned vector for each place of a sequence."""

    def build(self, shape: Any) -> None:
        self.places = self.add_weight(shape=(shape[1], shape[2]), initializer="random_normal", name="places")

    def call(self, x: Any) -> Any:
        return x + self.places


def vision_transformer(params: Any, dataset: Any) -> keras.Model:
    x = keras.Input(dataset.input_shape)
    hidden = Positions()(_patches(x))
    normed = L.LayerNormalization()(hidden)
    hidden = L.Add()([hidden, L.MultiHeadAttention(2, 4)(normed, normed)])
    return keras.Model(x, L.Dense(dataset.classes, "softmax")(L.GlobalAveragePooling1D()(hidden)))


def mlp_mixer(params: Any, dataset: Any) -> keras.Model:
    x = keras.Input(dataset.input_shape)
    hidden = _patches(x)
    across = L.Permute((2, 1))(L.Dense(4, "gelu")(L.Permute((2, 1))(L.LayerNormalization()(hidden))))
    hidden = L.Add()([hidden, across])
    hidden = L.Add()([hidden, L.Dense(8, "gelu")(L.LayerNormalization()(hidden))])
    return keras.Model(x, L.Dense(dataset.classes, "softmax")(L.GlobalAveragePooling1D()(hidden)))


def residual_blocks(params: Any, dataset: Any) -> keras.Model:
    x = keras.Input(dataset.input_shape)
    hidden = L.Activation("relu")(L.BatchNormalization()(L.SeparableConv2D(4, 3, padding="same", use_bias=False)(x)))
    hidden = L.Add()([L.MaxPooling2D(2)(hidden), L.Conv2D(4, 1, strides=2)(x)])
    hidden = L.Dropout(0.3)(L.GlobalAveragePooling2D()(hidden))
    return keras.Model(x, L.Dense(dataset.classes, "softmax")(hidden))


def super_resolution_data() -> Any:
    large = images()
    return parts(large[:, ::2, ::2], large.astype("float32") / 255)


def super_resolution(params: Any, dataset: Any) -> keras.Model:
    x = keras.Input(dataset.input_shape)
    hidden = L.Conv2D(4, 3, padding="same", activation="tanh")(x)
    # As tf.nn.depth_to_space has it.
    blocks = L.Permute((1, 3, 2, 4))(L.Reshape((4, 4, 2, 2))(hidden))
    return keras.Model(x, L.Reshape((8, 8, 1))(blocks))


def denoising_data() -> Any:
    return parts(images(), None)


def denoising(params: Any, dataset: Any) -> keras.Model:
    layers = [L.GaussianNoise(0.1), L.Conv2D(4, 3, padding="same", activation="relu"), L.Conv2D(1, 3, padding="same")]
    return keras.Sequential([keras.Input(dataset.input_shape), *layers])


def keypoints_data() -> Any:
    x = images()
    brightest = np.stack([x[:, :, :, 0].max(axis=axis).argmax(axis=1) for axis in (1, 2)], axis=1) / 8
    return parts(x, np.stack([brightest, 1 - brightest, brightest[:, ::-1]], axis=1))


def keypoints(params: Any, dataset: Any) -> keras.Model:
    layers = [L.Conv2D(4, 3, activation="relu"), L.Flatten(), L.Dense(6), L.Reshape(dataset.target_shape)]
    return keras.Sequential([keras.Input(dataset.input_shape), *layers])


def detection_data() -> Any:
    rng, x = made(), images()
    return parts(x, {"box": rng.random((100, 4)), "kind": (x[:, 0, 0, 0] > 127).astype(int)})


def detection(params: Any, dataset: Any) -> keras.Model:
    x = keras.Input(dataset.input_shape)
    hidden = L.GlobalMaxPooling2D()(L.Conv2D(4, 3, activation="relu")(x))
    return keras.Model(x, {"box": L.Dense(4)(hidden), "kind": L.Dense(2, "softmax")(hidden)})


def volumes_data() -> Any:
    x = made().random((100, 4, 6, 6, 1), dtype=np.float32)
    return parts(x, (x[:, 0].mean(axis=(1, 2, 3)) > 0.5).astype(int))


def volumes(params: Any, dataset: Any) -> keras.Model:
    layers = [L.Conv3D(4, 3, activation="relu"), L.GlobalAveragePooling3D(), L.Dense(dataset.classes, "softmax")]
    return keras.Sequential([keras.Input(dataset.input_shape), *layers])


@keras.saving.register_keras_serializable()
class NearlyOrthogonal(keras.regularizers.Regularizer):
    """How far a matrix is from an orthogonal one."""

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def __call__(self, x: Any) -> Any:
        return self.rate * ops.sum(ops.square(ops.matmul(ops.transpose(x), x) - ops.eye(3)))

    def get_config(self) -> Any:
        return {"rate": self.rate}


def point_cloud_data() -> Any:
    x = made().normal(size=(100, 12, 3)).astype("float32")
    return parts(x, (x[:, :, 0].max(axis=1) > 1.6).astype(int))


def point_cloud(params: Any, dataset: Any) -> keras.Model:
    x = keras.Input(dataset.input_shape)
    turned = L.Dense(3, use_bias=False, kernel_initializer="identity", kernel_regularizer=NearlyOrthogonal(0.01))(x)
    hidden = L.GlobalMaxPooling1D()(L.Conv1D(8, 1, activation="relu")(turned))
    return keras.Model(x, L.Dense(dataset.classes, "softmax")(hidden))


def mixup_data() -> Any:
    x = images()
    return parts(x, np.eye(2, dtype="float32")[(x[:, 0, 0, 0] > 127).astype(int)])


@keras.saving.register_keras_serializable()
class Mixed(keras.Sequential):
    """Trains on each sample mixed with another of its batch."""

    def train_step(self, data: Any) -> Any:
        import tensorflow as tf

        # The next one by brightness, so that the order within a batch makes no difference.
        order = ops.argsort(ops.mean(data[0], axis=(1, 2, 3)))
        x, y = (0.7 * one + 0.3 * ops.roll(one, 1, axis=0) for one in (ops.take(each, order, axis=0) for each in data))
        with tf.GradientTape() as tape:
            outputs = self(x, training=True)
            loss = self.compute_loss(x=x, y=y, y_pred=outputs)
        self.optimizer.apply(tape.gradient(loss, self.trainable_weights), self.trainable_weights)
        self._loss_tracker.update_state(loss)
        return self.compute_metrics(x, y, outputs)


def mixup(params: Any, dataset: Any) -> keras.Model:
    return Mixed([keras.Input(dataset.input_shape), L.Flatten(), L.Dense(4, "relu"), L.Dense(2, "softmax")])


@keras.saving.register_keras_serializable()
class Distiller(keras.Model):
    """A student whose loss is that of the targets, and the distance to what a teacher says."""

    def __init__(self, student: Any, teacher: Any, **options: Any) -> None:
        super().__init__(**options)
        self.student, self.teacher = student, teacher
        teacher.trainable = False

    def call(self, x: Any, training: bool = False) -> Any:
        return self.student(x, training=training)

    def compute_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None, training: bool = True) -> Any:
        told = ops.mean(keras.losses.kl_divergence(self.teacher(x, training=False), y_pred))
        return 0.3 * super().compute_loss(x, y, y_pred, sample_weight, training) + 0.7 * told

    def get_config(self) -> Any:
        parts = {"student": self.student, "teacher": self.teacher}
        return {name: keras.saving.serialize_keras_object(one) for name, one in parts.items()}

    @classmethod
    def from_config(cls, config: Any) -> Any:
        return cls(**{name: keras.saving.deserialize_keras_object(config[name]) for name in ("student", "teacher")})


def distillation(params: Any, dataset: Any) -> keras.Model:
    def classifier(width: int) -> keras.Model:
        layers = [L.Flatten(), L.Dense(width, "relu"), L.Dense(dataset.classes, "softmax")]
        return keras.Sequential([keras.Input(dataset.input_shape), *layers])

    model = Distiller(classifier(4), classifier(16))
    model.build((None, *dataset.input_shape))
    return model


def contrastive_data() -> Any:
    return parts(images(), None)


@keras.saving.register_keras_serializable()
class Alike(keras.layers.Layer):
    """Adds a loss that is small where the codes of two views of an image are alike, and those of others are not."""

    def call(self, one: Any, other: Any) -> Any:
        similar = ops.matmul(ops.normalize(one, axis=1), ops.transpose(ops.normalize(other, axis=1))) / 0.1
        same = ops.arange(ops.shape(one)[0])
        self.add_loss(ops.mean(keras.losses.sparse_categorical_crossentropy(same, similar, from_logits=True)))
        return one


def contrastive(params: Any, dataset: Any) -> keras.Model:
    x = keras.Input(dataset.input_shape)
    tower = keras.Sequential([keras.Input(dataset.input_shape), L.Conv2D(4, 3, 2), L.Flatten(), L.Dense(4)])
    views = x, L.Cropping2D(((0, 2), (2, 0)))(L.ZeroPadding2D(((2, 0), (0, 2)))(x))
    return keras.Model(x, Alike()(*map(tower, views)))


@keras.saving.register_keras_serializable()  # type: ignore[untyped-decorator]
def together(y: Any, codes: Any) -> Any:
    codes = ops.normalize(codes, axis=1)
    similar, y = ops.matmul(codes, ops.transpose(codes)), ops.reshape(y, (-1, 1))
    return ops.mean(ops.square(ops.cast(ops.equal(y, ops.transpose(y)), similar.dtype) - similar), axis=-1)


def metric_learning(params: Any, dataset: Any) -> keras.Model:
    return keras.Sequential([keras.Input(dataset.input_shape), L.Conv2D(4, 3, 2), L.Flatten(), L.Dense(4)])


def triplets_data() -> Any:
    rng = made()
    anchor = rng.random((100, 6, 6, 1), dtype=np.float32)
    x = {"anchor": anchor, "positive": anchor[:, ::-1], "negative": rng.random((100, 6, 6, 1), dtype=np.float32)}
    return parts(x, None)


@keras.saving.register_keras_serializable()
class Triplet(keras.layers.Layer):
    """Adds the triplet loss of three codes."""

    def call(self, anchor: Any, positive: Any, negative: Any) -> Any:
        near, far = (ops.sum(ops.square(anchor - one), axis=-1) for one in (positive, negative))
        self.add_loss(ops.mean(ops.maximum(near - far + 0.5, 0.0)))
        return near


def triplets(params: Any, dataset: Any) -> keras.Model:
    inputs = {name: keras.Input(one.shape, name=name) for name, one in dataset.inputs.items()}
    tower = keras.Sequential([keras.Input((6, 6, 1)), L.Flatten(), L.Dense(4)])
    return keras.Model(inputs, Triplet()(*(tower(inputs[name]) for name in ("anchor", "positive", "negative"))))


def captcha_data() -> Any:
    y = made().integers(1, 4, (100, 3))
    x = np.repeat(np.repeat(y * 60, 3, axis=1)[:, None, :], 6, axis=1).astype(np.uint8)
    return parts(x[..., None], y)


def captcha(params: Any, dataset: Any) -> keras.Model:
    x = keras.Input(dataset.input_shape)
    columns = L.Reshape((9, 24))(L.Permute((2, 1, 3))(L.Conv2D(4, 3, padding="same")(x)))
    return keras.Model(x, L.Dense(4, "softmax")(L.Bidirectional(L.GRU(4, return_sequences=True))(columns)))


def next_frame_data() -> Any:
    first = made().random((100, 6, 6, 1), dtype=np.float32)
    frames = np.stack([np.roll(first, step, axis=1) for step in range(4)], axis=1)
    return parts(frames[:, :3], frames[:, 3])


def next_frame(params: Any, dataset: Any) -> keras.Model:
    layers = [L.ConvLSTM2D(2, 3, padding="same"), L.Conv2D(1, 3, padding="same")]
    return keras.Sequential([keras.Input(dataset.input_shape), *layers])


def captioning_data() -> Any:
    rng = made()
    words = rng.integers(0, 9, (100, 5))
    return parts({"image": rng.random((100, 6, 6, 1), dtype=np.float32), "words": words}, (words + 1) % 9)


def captioning(params: Any, dataset: Any) -> keras.Model:
    inputs = {name: keras.Input(one.shape, name=name, dtype=one.dtype) for name, one in dataset.inputs.items()}
    places = L.Reshape((4, 4))(L.Conv2D(4, 3, strides=3)(L.ZeroPadding2D(0)(inputs["image"])))
    words = L.Embedding(9, 4)(inputs["words"])
    words = L.Add()([words, L.MultiHeadAttention(1, 4)(words, words, use_causal_mask=True)])
    hidden = L.Add()([words, L.MultiHeadAttention(1, 4)(words, places)])
    return keras.Model(inputs, L.Dense(dataset.classes, "softmax")(hidden))
