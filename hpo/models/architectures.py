"""The networks of keras.applications: the pixels that each was trained to see, and the least image that it takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hpo.errors import ModelError

if TYPE_CHECKING:
    from hpo.data.dataset import DatasetInfo

_LARGEST_PIXEL = 255.0
# Of ImageNet, by channel: those of `keras.applications.imagenet_utils`.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_BLUE_FIRST = (103.939, 116.779, 123.68)


@dataclass(frozen=True)
class Architecture:
    """A network of keras.applications."""

    name: str
    takes: Literal["pixels", "tf", "torch", "caffe"]
    """What its first layer sees, by the names of Keras's `preprocess_input`: pixels from 0 to 255; from -1 to 1;
    less the mean and by the deviation of ImageNet; blue first, less the mean."""
    least: int = 32
    """The least height and width of an image. Unit: pixels."""
    scales: bool = False
    """Whether it has an argument `alpha`, how wide it is."""


_ALL = (
    *(Architecture(name, "tf", scales=True) for name in ("MobileNet", "MobileNetV2")),
    *(Architecture(name, "pixels", scales=True) for name in ("MobileNetV3Small", "MobileNetV3Large")),
    *(Architecture(f"EfficientNetB{number}", "pixels") for number in range(8)),
    *(Architecture(f"EfficientNetV2{size}", "pixels") for size in ("B0", "B1", "B2", "B3", "S", "M", "L")),
    *(Architecture(f"ResNet{depth}", "caffe") for depth in (50, 101, 152)),
    *(Architecture(f"ResNet{depth}V2", "tf") for depth in (50, 101, 152)),
    *(Architecture(f"DenseNet{depth}", "torch") for depth in (121, 169, 201)),
    *(Architecture(f"ConvNeXt{size}", "pixels") for size in ("Tiny", "Small", "Base", "Large", "XLarge")),
    *(Architecture(f"VGG{depth}", "caffe") for depth in (16, 19)),
    Architecture("Xception", "tf", least=71),
    Architecture("InceptionV3", "tf", least=75),
    Architecture("InceptionResNetV2", "tf", least=75),
    Architecture("NASNetMobile", "tf"),
    Architecture("NASNetLarge", "tf"),
)
ARCHITECTURES: Mapping[str, Architecture] = {one.name: one for one in _ALL}
"""The networks by name."""


def rescaling(architecture: Architecture, info: "DatasetInfo") -> tuple[list[float], list[float]]:
    """What a network sees of a channel is `x * factor + offset`, of inputs as the dataset's scaling leaves them.

    Integers are pixels from 0 to 255. Other numbers are scaled to the range of the training part, whose ends are
    then 0 and 255; where the dataset's section says that they are not scaled, they are pixels, too.

    Raises:
        ModelError: numbers that were standardized, of which nobody knows which is black and which is white.
    """
    scaling = info.scaling
    integers = info.input_type.startswith(("int", "uint"))
    if scaling.method == "none":
        to_pixels, black = 1.0, 0.0
    elif integers:
        to_pixels, black = 1 / float(scaling.factor), float(scaling.offset)
    elif scaling.method == "minmax":
        to_pixels, black = _LARGEST_PIXEL, 0.0
    else:
        raise ModelError(
            f"application takes pixels, and those of {info.name} are standardized; take dataset.scaling: minmax"
        )
    factor, offset = [1.0] * 3, [0.0] * 3
    if architecture.takes == "tf":
        factor, offset = [1 / 127.5] * 3, [-1.0] * 3
    elif architecture.takes == "torch":
        factor = [1 / (_LARGEST_PIXEL * one) for one in _DEVIATION]
        offset = [-mean / one for mean, one in zip(_MEAN, _DEVIATION, strict=True)]
    elif architecture.takes == "caffe":
        offset = [-mean for mean in _BLUE_FIRST]
    return [one * to_pixels for one in factor], [one * black + begin for one, begin in zip(factor, offset, strict=True)]
