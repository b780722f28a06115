"""One of the networks of keras.applications, as trained on ImageNet or from a file, with a head of its own."""

import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from hpo.errors import ModelError, first_line
from hpo.models.architectures import ARCHITECTURES, Architecture, rescaling
from hpo.models.backbone import Backbone, Unfrozen, freeze, without_dropout
from hpo.models.built import InvalidModel
from hpo.models.keras_downloads import one_at_a_time
from hpo.models.layers import dense, output
from hpo.models.parts import Activation, Head, HeadKeys, LayerKeys, Weights, activation, head, weights
from hpo.models.values import Values
from hpo.system.home import expanded

if TYPE_CHECKING:
    import keras

    from hpo.data.dataset import DatasetInfo

NAMES_FILES = ("weights",)
"""Keys that may name a file: `check`, `build` and `files` take the folders in which relative paths are looked for."""

OFFERED = ("imagenet", "none")
"""Weights that are no file."""

_SUFFIXES = (".h5", ".keras")


class EachKeys(LayerKeys):
    """The parameters of all hidden layers of the head, or of one as `width_2`."""

    width: Annotated[int, Field(ge=1)] = 256
    """How many units each hidden layer of the head has. Unit: units. Example: 128"""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """How many of the backbone's pooled numbers, and of a hidden layer's outputs, are dropped at random while training.
    Unit: share. Example: 0.2"""


class Keys(EachKeys, HeadKeys):
    """A network of keras.applications (the backbone) without its top, and a head on it: pooling, `depth` hidden layers,
    the output layer. It takes pixels as they come: what the network was trained to see is made of them within the
    model. `width_2` sets `width` of the second hidden layer."""

    architecture: Annotated[str, WithJsonSchema({"type": "string", "enum": list(ARCHITECTURES)})] = "MobileNetV2"
    """The network, by its name in keras.applications. Example: EfficientNetB0"""
    weights: str = "imagenet"
    """The weights that the network begins with. Values: imagenet: those that Keras offers, which it downloads once, at
    their first use, into its own folder (~/.keras/models); none: random ones; otherwise a file of them, with the suffix
    .h5, .weights.h5 or .keras, of the network without its top. Example: mobilenet.weights.h5"""
    alpha: Annotated[float, Field(gt=0)] = 1.0
    """How wide a network of the MobileNet family is. Unit: share of its usual filters. Example: 0.25"""
    image_size: Annotated[int, Field(ge=1)] | None = None
    """The height and width to which images are resized within the model. Unit: pixels. Default: as they come.
    Example: 96"""
    pooling: Literal["average", "max", "flatten"] = "average"
    """What makes one row of numbers of the network's last feature maps. Values: average: the mean of each map; max:
    its largest number; flatten: all their numbers. Example: max"""
    depth: Annotated[int, Field(ge=0)] = 0
    """How many hidden layers the head has. Unit: layers. Example: 1"""
    unfreeze: Annotated[int, Field(ge=0)] | Literal["all"] | None = None
    """How many layers of the network train, counted from its output; one without weights counts, too. Unless all
    of it trains from random weights, its BatchNormalization layers do not train, and it has no dropout of its own.
    Values: all: every layer. Unit: layers. Default: 0, or all with `weights: none`. Example: 30"""


@dataclass(frozen=True)
class _Plan:
    architecture: Architecture
    weights: str
    alpha: float | None
    image_size: tuple[int, int]
    pooling: str
    unfreeze: Unfrozen | None
    dropout: float
    hidden: tuple[tuple[int, Activation, Weights, float], ...]
    head: Head


def check(params: Mapping[str, Any], info: "DatasetInfo", folders: Sequence[Path | str] = ()) -> None:
    """Raises the same errors as `build`, without importing Keras; files are looked for and not read."""
    plan = _plan(params, info)
    if plan.weights not in OFFERED:
        _file(plan.weights, folders)


def build(params: Mapping[str, Any], info: "DatasetInfo", folders: Sequence[Path | str] = ()) -> "keras.Model":
    """Builds an uncompiled model; input shape `info.input_shape` (height, width, 1 or 3 channels); output shape
    (info.outputs,), or (1,) for two classes with `output_activation: sigmoid`.

    `Keys` documents the parameters. Unless all of it trains from random weights, the backbone puts out the same in
    training as in inference: its BatchNormalization layers keep their statistics, and it has no dropout.
    `folders`: where a relative path of weights is looked for.

    Raises:
        ModelError: the data are no images, their range is not known, or the weights cannot be had.
        InvalidModel: a value is not allowed.
    """
    import keras

    plan = _plan(params, info)
    backbone = _backbone(plan, folders)
    if plan.unfreeze is not None:
        freeze(backbone, plan.unfreeze)
        without_dropout(backbone)
    inputs = keras.Input(info.input_shape, name="input")
    pixels: Any = inputs
    if plan.image_size != info.input_shape[:2]:
        pixels = keras.layers.Resizing(*plan.image_size, dtype="float32", name="resize")(pixels)
    if info.input_shape[2] == 1:
        pixels = keras.layers.Concatenate(name="colors")([pixels] * 3)
    if plan.architecture.takes == "caffe":
        # These networks saw blue first.
        pixels = pixels[..., ::-1]
    factor, offset = rescaling(plan.architecture, info)
    if any(one != 1 for one in factor) or any(offset):
        pixels = keras.layers.Rescaling(factor, offset, dtype="float32", name="rescale")(pixels)
    numbers = backbone(pixels)
    for layer in _head(plan):
        numbers = layer(numbers)
    return keras.Model(inputs, numbers, name="application")


def backbone_of(params: Mapping[str, Any], info: "DatasetInfo", folders: Sequence[Path | str] = ()) -> Backbone:
    """How `build` makes its backbone; raises the same errors, those of a file's content excepted."""
    plan = _plan(params, info)
    weights = None if plan.weights == "none" else plan.weights
    if weights is not None and weights not in OFFERED:
        weights = str(_file(weights, folders).absolute())
    arguments: dict[str, Any] = {"include_top": False, "weights": weights, "input_shape": (*plan.image_size, 3)}
    if plan.alpha not in (None, 1):
        arguments["alpha"] = plan.alpha
    return Backbone(plan.architecture.name, arguments, plan.unfreeze)


def files(params: Mapping[str, Any], folders: Sequence[Path | str] = ()) -> dict[str, Path]:
    """The files that a configuration reads, by the names that it has for them; without what is not there."""
    chosen = params.get("weights")
    with suppress(InvalidModel):
        return {chosen: _file(chosen, folders)} if isinstance(chosen, str) and _is_file(chosen) else {}
    return {}


def in_words(params: Mapping[str, Any]) -> str | None:
    """What a user should know of a configuration before it trains."""
    if params.get("weights", "imagenet") != "imagenet":
        return None
    return "weights: imagenet are Keras's own, which it downloads once, at their first use, into ~/.keras/models"


def _head(plan: _Plan) -> "list[keras.layers.Layer]":
    import keras

    kinds = {
        "average": keras.layers.GlobalAveragePooling2D,
        "max": keras.layers.GlobalMaxPooling2D,
        "flatten": keras.layers.Flatten,
    }
    layers: list[Any] = [kinds[plan.pooling](name="pooling")]
    if plan.dropout:
        layers.append(keras.layers.Dropout(plan.dropout, name="dropout"))
    for number, (units, function, own_weights, dropout) in enumerate(plan.hidden, start=1):
        layers += dense(units, function, own_weights, f"dense_{number}")
        if dropout:
            layers.append(keras.layers.Dropout(dropout, name=f"dropout_{number}"))
    return [*layers, output(plan.head)]


def _backbone(plan: _Plan, folders: Sequence[Path | str]) -> "keras.Model":
    """The network without its top, with its weights.

    Raises:
        ModelError: the weights cannot be had.
        InvalidModel: they are those of another network.
    """
    import keras

    kind, name = getattr(keras.applications, plan.architecture.name), plan.architecture.name
    options = {"include_top": False, "input_shape": (*plan.image_size, 3), "name": name.lower()}
    if plan.alpha is not None:
        options["alpha"] = plan.alpha
    try:
        with warnings.catch_warnings():
            if plan.weights == "imagenet":
                # Of images of another size, for which Keras takes the weights of 224 x 224 pixels.
                warnings.simplefilter("ignore", UserWarning)
                with one_at_a_time():
                    return kind(weights="imagenet", **options)
            found = kind(weights=None, **options)
            if plan.weights != "none":
                file = _file(plan.weights, folders)
                # What a file lacks, Keras would leave as it is.
                warnings.simplefilter("error", UserWarning)
                found.load_weights(file)
                if name.startswith("EfficientNetB") and _is_of_imagenet(found):
                    rule = "Keras builds another network for them: put the file into ~/.keras/models, take imagenet"
                    raise InvalidModel(f"weights: {plan.weights} is ImageNet's of {name}; {rule}", "weights")
            return found
    except ModelError:
        raise
    except (ValueError, UserWarning) as error:
        raise InvalidModel(
            f"weights: those of {plan.weights} do not fit {name}: {first_line(error)}", "weights"
        ) from error
    except Exception as error:
        # Keras raises a plain Exception where it cannot download.
        if plan.weights == "imagenet":
            rule = "name a file of them, or take weights: none"
            raise ModelError(
                f"weights: imagenet: Keras cannot download those of {name}; {rule}: {first_line(error)}"
            ) from error
        raise ModelError(f"weights: {plan.weights} cannot be read: {first_line(error)}") from error


def _is_of_imagenet(network: "keras.Model") -> bool:
    """Whether the first layer of an EfficientNet subtracts the mean of ImageNet; that of a random one subtracts 0."""
    import keras

    return any(one.get_weights()[0].any() for one in network.layers if isinstance(one, keras.layers.Normalization))


def _file(weights: str, folders: Sequence[Path | str]) -> Path:
    """The file of that path: absolute, or from the first of the folders that has it.

    Raises:
        InvalidModel: none has it.
    """
    wanted, places = expanded(weights), [Path(one) for one in folders] or [Path.cwd()]
    for place in places:
        if (place / wanted).is_file():
            return place / wanted
    where = "" if wanted.is_absolute() else f" in {' or '.join(map(str, places))}"
    raise InvalidModel(f"weights: {weights}: no such file{where}", "weights")


def _plan(params: Mapping[str, Any], info: "DatasetInfo") -> _Plan:
    if len(info.input_shape) != 3 or info.input_shape[2] not in (1, 3):
        raise ModelError(
            f"application needs images of shape (height, width, 1 or 3), and a sample of {info.name} has shape "
            f"{info.input_shape}"
        )
    values = Values(params)
    architecture = ARCHITECTURES[values.word("architecture", "MobileNetV2", ARCHITECTURES, "one of keras.applications")]
    rescaling(architecture, info)
    size = info.input_shape[:2]
    if values.find("image_size").parameter is not None:
        size = (values.whole("image_size", 0),) * 2
    if min(size) < architecture.least:
        rule = f"{architecture.name} takes images of {architecture.least} x {architecture.least} pixels or more"
        raise InvalidModel(
            f"{rule}, got {size[0]} x {size[1]}; a larger image_size resizes them within the model",
            values.first_set("image_size", "architecture"),
        )
    chosen = values.find("weights", "imagenet")
    if not isinstance(chosen.value, str) or not (chosen.value in OFFERED or _is_file(chosen.value)):
        raise chosen.refused("imagenet, none, or a file with the suffix .h5, .weights.h5 or .keras")
    hidden = []
    for number in range(1, values.whole("depth", 0, low=0) + 1):
        own = Values(params, number)
        hidden.append((own.whole("width", 256), activation(own), weights(own), own.share("dropout")))
    # Of a head without hidden layers the values are read as well, so that a mistake among them is found.
    values.whole("width", 256), activation(values), weights(values)
    pooling = values.word("pooling", "average", ("average", "max", "flatten"))
    alpha, unfreeze = _alpha(values, architecture), _unfreeze(values, chosen.value)
    return _Plan(
        architecture, chosen.value, alpha, size, pooling, unfreeze, values.share("dropout"), tuple(hidden),
        head(params, info),
    )  # fmt: skip


def _is_file(weights: str) -> bool:
    return weights.endswith(_SUFFIXES)


def _alpha(values: Values, architecture: Architecture) -> float | None:
    found, alpha = values.find("alpha", 1.0), values.amount("alpha", 1.0)
    if alpha == 0:
        raise found.refused("a number above 0")
    if architecture.scales:
        return alpha
    if alpha != 1:
        raise found.refused(f"1 for {architecture.name}", "only the MobileNet family has other widths")
    return None


def _unfreeze(values: Values, chosen: str) -> Unfrozen | None:
    """How many layers train; None: all of random weights, as Keras makes the network."""
    found = values.find("unfreeze")
    if found.value in (None, "all"):
        return None if chosen == "none" else found.value or 0
    if not isinstance(found.value, int) or isinstance(found.value, bool) or found.value < 0:
        raise found.refused("a whole number of at least 0, or all")
    return found.value
