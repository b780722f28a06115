"""The memory of a step of k models as one program, whose convolutions are products of patches."""

import math

import keras

# Bytes of a step, as counted below. A process takes up to three times as much: training keeps patches for gradients.
_MOST = 256 * 2**20
# Samples of all models together in a step of an evaluation.
_EVALUATED = 8192


def bytes_of_sample(model: keras.Model) -> int:
    """Bytes that a chain of layers makes of a sample: each layer's output, and the patches of each convolution."""
    total = 0
    for layer in model.layers:
        *places, channels = layer.output.shape[1:]
        numbers = channels
        if isinstance(layer, keras.layers.Conv2D):
            numbers += math.prod(layer.kernel_size) * layer.input.shape[-1]
        total += 4 * math.prod(places) * numbers
    return total


def rows_evaluated(k: int, of_sample: int) -> int:
    """How many samples k models evaluate in a step."""
    return max(1, min(max(32, _EVALUATED // k), _MOST // (k * max(1, of_sample))))


def too_large(k: int, batch_size: int, of_sample: int) -> str | None:
    """Why k models cannot train as one program, if a step of all would need too much memory."""
    needed = k * batch_size * of_sample
    return f"a step of all would need {needed / 2**20:.0f} MiB" if needed > _MOST else None
