"""Samples as pictures that are embedded in a page."""

import base64
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hpo.data.dataset import Array

_LARGEST = 96
"""The most pixels of a side; larger pictures are made smaller."""


def as_image(sample: "Array", low: float, high: float) -> str:
    """A sample of shape (height, width, channels) as a PNG in a data URI.

    Three channels are colours; otherwise only the first channel is shown. `low` is shown black and `high` white: the
    least and the largest value of the data.
    """
    import numpy as np
    from PIL import Image

    shades = ((sample.astype(float) - low) / ((high - low) or 1.0) * 255).clip(0, 255).astype(np.uint8)
    image = Image.fromarray(shades if shades.shape[2] == 3 else shades[:, :, 0])
    image.thumbnail((_LARGEST, _LARGEST))
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
