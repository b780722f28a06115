"""The networks of keras.applications: what they see of raw images, what trains, where weights come from."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from hpo.data.scaling import Moments
from hpo.errors import ModelError
from hpo.models import InvalidModel, application, build, check, notes
from hpo.models.architectures import ARCHITECTURES, rescaling
from hpo.models.backbone import backbones

TINY = {"architecture": "MobileNet", "alpha": 0.25, "weights": "none"}


def images_of(info_of, kind="uint8", method="minmax", shape=(32, 32, 3)):
    """Images, and what is known of them."""
    raw = np.random.default_rng(0).integers(3, 250, (4, *shape)).astype(kind)
    moments = Moments(shape)
    moments.update(raw)
    return raw, replace(info_of(shape, classes=3), scaling=moments.scaling(method), input_type=kind)


def test_every_architecture_is_one_of_keras_and_none_is_missing():
    functions = {name for name, one in vars(keras.applications).items() if callable(one) and name[0].isupper()}
    assert set(ARCHITECTURES) == functions


@pytest.mark.parametrize(
    ("name", "module"), [("MobileNet", "mobilenet"), ("ResNet50", "resnet"), ("DenseNet121", "densenet")]
)
@pytest.mark.parametrize("method", ["minmax", "standard", "none"])
def test_a_network_sees_what_keras_would_make_of_the_raw_pixels(info_of, name, module, method):
    raw, info = images_of(info_of, method=method)
    factor, offset = rescaling(ARCHITECTURES[name], info)
    seen = info.scaling.apply(raw)[..., :: -1 if name == "ResNet50" else 1] * np.array(factor) + offset
    wanted = getattr(keras.applications, module).preprocess_input(raw.astype(np.float32))
    np.testing.assert_allclose(seen, wanted, atol=1e-4)


def test_numbers_are_pixels_of_their_own_range_and_standardized_ones_are_refused(info_of):
    raw, info = images_of(info_of, "float32")
    pixels = info.scaling.apply(raw) * rescaling(ARCHITECTURES["EfficientNetB0"], info)[0][0]
    assert (pixels.min(), pixels.max()) == pytest.approx((0, 255))
    with pytest.raises(ModelError, match="application takes pixels, and those of tiny are standardized"):
        check("application", TINY, images_of(info_of, "float32", "standard")[1])


def test_the_head_and_what_trains(info_of):
    _, info = images_of(info_of, shape=(16, 16, 1))
    params = {**TINY, "image_size": 32, "depth": 2, "width": 6, "width_2": 4, "dropout": 0.2, "dropout_2": 0.0}
    model = build("application", {**params, "unfreeze": 6}, info).model
    assert [layer.name for layer in model.layers if layer.name != "input"] == [
        *(
            "resize",
            "colors",
            "rescale",
            "mobilenet",
            "pooling",
            "dropout",
            "dense_1",
            "dropout_1",
            "dense_2",
            "output",
        ),
    ]
    (backbone,) = backbones(model)
    trains = [layer.trainable and layer.name for layer in backbone.layers]
    # All but BatchNormalization among the last six.
    assert [name for name in trains if name] == ["conv_dw_13", "conv_dw_13_relu", "conv_pw_13", "conv_pw_13_relu"]
    assert model.output_shape == (None, 3)
    # Statistics stay as they are in training, too, unless all begins from random weights.
    for unfreeze, moves in ((6, False), ("all", True)):
        model = build("application", {**params, "unfreeze": unfreeze}, info).model
        statistics = backbones(model)[0].non_trainable_variables
        before = [one.numpy() for one in statistics]
        model(np.random.default_rng(1).random((4, 16, 16, 1), np.float32), training=True)
        assert any((one.numpy() != old).any() for one, old in zip(statistics, before, strict=True)) is moves
    assert not build("application", {**TINY, "unfreeze": 0}, images_of(info_of)[1]).model.layers[2].trainable
    assert build("application", TINY, images_of(info_of)[1]).model.layers[2].trainable


def test_weights_come_from_a_file_or_the_message_says_why_not(info_of, tmp_path):
    _, info = images_of(info_of)
    network = keras.applications.MobileNet((32, 32, 3), alpha=0.25, include_top=False, weights=None)
    for name in ("small.weights.h5", "small.keras"):
        (network.save_weights if "weights" in name else network.save)(tmp_path / name)
        model = build("application", {**TINY, "weights": name}, info, [tmp_path]).model
        for mine, theirs in zip(backbones(model)[0].weights, network.weights, strict=True):
            np.testing.assert_array_equal(mine.numpy(), theirs.numpy())
    with pytest.raises(InvalidModel, match=r"weights: those of small\.weights\.h5 do not fit MobileNet: "):
        build("application", {**TINY, "weights": "small.weights.h5", "alpha": 0.5}, info, [tmp_path])
    with pytest.raises(InvalidModel, match=r"weights: big\.keras: no such file in "):
        check("application", {**TINY, "weights": "big.keras"}, info, [tmp_path])
    (tmp_path / "no.weights.h5").write_text("no weights")
    with pytest.raises(ModelError, match=r"weights: no\.weights\.h5 cannot be read: "):
        build("application", {**TINY, "weights": "no.weights.h5"}, info, [tmp_path])


def test_weights_of_keras_are_announced_and_a_failed_download_is_one_message(info_of, monkeypatch):
    params = {**TINY, "weights": "imagenet", "alpha": 0.5}
    assert notes("application", [params, params, TINY]) == [application.in_words(params)]
    assert notes("mlp", [{}]) == notes("module:build", [{}]) == []
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(
        ModelError, match="weights: imagenet: Keras cannot download those of MobileNet; name a file"
    ) as caught:
        build("application", params, images_of(info_of)[1])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"architecture": "MobileNetV4"}, "architecture must be one of keras.applications, got 'MobileNetV4'; did you"),
        ({"architecture": "Xception"}, "Xception takes images of 71 x 71 pixels or more, got 32 x 32; a larger image_"),
        ({"architecture": "VGG16", "alpha": 0.5}, "alpha must be 1 for VGG16, got 0.5; only the MobileNet family"),
        ({"weights": "noisy"}, "weights must be imagenet, none, or a file with the suffix .h5, .weights.h5 or .keras"),
        ({"unfreeze": "some"}, "unfreeze must be a whole number of at least 0, or all, got 'some'"),
        ({"width_1": 0, "depth": 1}, "width_1 must be a whole number of at least 1, got 0"),
    ],
)
def test_refused_values(info_of, params, message):
    with pytest.raises(InvalidModel) as caught:
        check("application", params, info_of((32, 32, 3)))
    assert str(caught.value).startswith(message)


def test_other_samples_are_refused(info_of):
    with pytest.raises(ModelError, match=r"needs images of shape \(height, width, 1 or 3\), and a sample of tiny has"):
        check("application", TINY, info_of((32, 32, 4)))
