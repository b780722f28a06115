"""Records thousands of learning curves of the standard job on a GPU, many configurations at a time, in JAX.

    python3 -m benchmarks.record --for-gpu 2500 --out mlruns/gpu          # here: configurations and data
    python3 benchmarks/record_on_gpu.py mlruns/gpu --processes 6          # on the GPU's machine

The training is that of `benchmarks.job`: Glorot's uniform weights, Adam as Keras writes it, dropout, shuffled batches
with the smaller one at the end. Random numbers differ, so curves are equal in distribution to Keras's, not one by one.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import jax  # type: ignore[import-not-found,unused-ignore]
import jax.numpy as jnp  # type: ignore[import-not-found,unused-ignore]
import numpy as np

EPOCHS = 20
_WIDTHS = (128, 512)
_AT_ONCE = 100
_ACTIVATIONS = ("relu", "tanh", "sigmoid", "leaky_relu", "silu")


def main() -> None:
    """Starts the processes, or is one of them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, help="with configs.json and data.npz")
    parser.add_argument("--processes", type=int, default=6)
    parser.add_argument("--part", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help="folder for the curves; by default the same")
    parser.add_argument("--seconds", type=float, default=500.0, help="no group is begun after so long")
    options = parser.parse_args()
    out = options.out or options.folder
    if options.part is not None:
        _work(options.folder, out, options.part, options.processes, options.seconds)
        return
    settings = {**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    command = [sys.executable, __file__, str(options.folder), "--processes", str(options.processes), "--out", str(out)]
    command += ["--seconds", str(options.seconds)]
    started = [subprocess.Popen([*command, "--part", str(part)], env=settings) for part in range(options.processes)]
    print([process.wait() for process in started])


def _work(folder: Path, out: Path, part: int, parts: int, seconds: float) -> None:
    began = time.monotonic()
    configs = json.loads((folder / "configs.json").read_text())
    with np.load(folder / "data.npz") as arrays:
        data = {name: arrays[name] for name in arrays.files}
    groups = _groups(configs)
    # The slowest first, dealt to the processes in turn.
    for key in sorted(groups, key=lambda key: (key[2], -key[0], -key[1]))[part::parts]:
        if time.monotonic() - began > seconds:
            return
        chosen, start = groups[key], time.monotonic()
        scores = train(chosen, data, *key)
        with (out / f"gpu-{part}.jsonl").open("a") as rows:
            for config, curve in zip(chosen, scores, strict=True):
                rows.write(json.dumps({"number": config["number"], "scores": curve}) + "\n")
        took, passed = time.monotonic() - start, time.monotonic() - began
        print(f"part {part}: {key} x {len(chosen)}: {took:.1f} s, at {passed:.0f} s", flush=True)


def _groups(configs: list[dict[str, Any]]) -> dict[tuple[int, int, int, int], list[dict[str, Any]]]:
    """Configurations by depth, padded width, size of batches, and a running number: each group is one program."""
    found: dict[tuple[int, int, int, int], list[dict[str, Any]]] = {}
    for config in configs:
        width = next(width for width in _WIDTHS if config["width"] <= width)
        number = 0
        while len(found.get((config["depth"], width, config["batch_size"], number), [])) == _AT_ONCE:
            number += 1
        found.setdefault((config["depth"], width, config["batch_size"], number), []).append(config)
    return found


def train(
    configs: list[dict[str, Any]], data: dict[str, np.ndarray], depth: int, width: int, batch: int, _: int
) -> list[list[float | None]]:
    """The validation accuracies of each configuration, None from where its loss was not finite."""
    arrays = {name: jnp.asarray(values) for name, values in data.items()}
    ones = {
        "rate": jnp.array([config["learning_rate"] for config in configs], jnp.float32),
        "dropout": jnp.array([config["dropout"] for config in configs], jnp.float32),
        "activation": jnp.array([_ACTIVATIONS.index(config["activation"]) for config in configs]),
        "width": jnp.array([config["width"] for config in configs]),
        "number": jnp.array([config["number"] for config in configs]),
    }
    state = jax.jit(jax.vmap(partial(_begin, [784] + [width] * depth + [10])))(ones)
    run = jax.jit(jax.vmap(partial(_epoch, arrays, batch), in_axes=(0, 0, None)), donate_argnums=0)
    found = []
    for number in range(EPOCHS):
        state, accuracy = run(state, ones, number)
        found.append(np.where(np.asarray(state[4]) > 0, np.nan, np.asarray(accuracy, dtype=float)))
    curves = np.array(found).T
    return [[None if np.isnan(score) else round(float(score), 4) for score in curve] for curve in curves]


def _begin(sizes: list[int], one: Any) -> Any:
    """Weights, Adam's two moments and steps, and whether a loss was not finite; units beyond the width are 0."""
    key = jax.random.fold_in(jax.random.key(0), one["number"])
    weights = []
    for place, (rows, columns) in enumerate(itertools.pairwise(sizes)):
        inside = jnp.where(place == 0, rows, one["width"])
        outside = jnp.where(place == len(sizes) - 2, columns, one["width"])
        limit = jnp.sqrt(6.0 / (inside + outside))
        drawn = jax.random.uniform(jax.random.fold_in(key, place), (rows, columns), minval=-1.0, maxval=1.0)
        there = (jnp.arange(rows)[:, None] < inside) & (jnp.arange(columns)[None] < outside)
        weights.append((jnp.where(there, drawn * limit, 0.0), jnp.zeros(columns)))
    zeros = jax.tree.map(jnp.zeros_like, weights)
    return (weights, zeros, zeros, jnp.float32(0), jnp.float32(0))


def _forward(weights: Any, one: Any, images: Any, key: Any) -> Any:
    """Logits; `key` None: without dropout."""
    h = images.astype(jnp.float32) / 255.0
    for place, (kernel, bias) in enumerate(weights[:-1]):
        z = h @ kernel + bias
        kinds = [jax.nn.relu(z), jnp.tanh(z), jax.nn.sigmoid(z), jnp.where(z > 0, z, 0.2 * z), jax.nn.silu(z)]
        h = jnp.select([one["activation"] == kind for kind in range(len(kinds))], kinds)
        h *= jnp.arange(h.shape[1]) < one["width"]
        if key is not None:
            bits = jax.random.bits(jax.random.fold_in(key, place), h.shape, jnp.uint16)
            h = jnp.where(bits >= one["dropout"] * 65536, h / (1.0 - one["dropout"]), 0.0)
    return h @ weights[-1][0] + weights[-1][1]


def _loss(weights: Any, one: Any, images: Any, labels: Any, used: Any, key: Any) -> Any:
    logs = jax.nn.log_softmax(_forward(weights, one, images, key))
    losses = -jnp.take_along_axis(logs, labels[:, None], 1)[:, 0]
    return jnp.sum(losses * used) / jnp.sum(used)


def _epoch(data: Any, batch: int, state: Any, one: Any, number: Any) -> Any:
    """The state after an epoch, and the validation accuracy."""
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(1, impl="unsafe_rbg"), one["number"]), number)
    count = data["x_train"].shape[0]
    steps = -(-count // batch)
    order = jax.random.permutation(jax.random.fold_in(key, 1), count)
    rows = jnp.concatenate([order, jnp.zeros(steps * batch - count, order.dtype)]).reshape(steps, batch)
    used = (jnp.arange(steps * batch) < count).astype(jnp.float32).reshape(steps, batch)

    def step(state: Any, part: Any) -> Any:
        weights, first, second, done, worst = state
        chosen, weight, place = part
        own = jax.random.fold_in(jax.random.fold_in(key, 2), place)
        images, labels = data["x_train"][chosen], data["y_train"][chosen]
        loss, slopes = jax.value_and_grad(_loss)(weights, one, images, labels, weight, own)
        done = done + 1
        rate = one["rate"] * jnp.sqrt(1 - 0.999**done) / (1 - 0.9**done)
        first = jax.tree.map(lambda old, slope: old + (slope - old) * 0.1, first, slopes)
        second = jax.tree.map(lambda old, slope: old + (slope * slope - old) * 0.001, second, slopes)
        weights = jax.tree.map(lambda old, m, v: old - rate * m / (jnp.sqrt(v) + 1e-7), weights, first, second)
        return (weights, first, second, done, jnp.maximum(worst, 1.0 - jnp.isfinite(loss))), None

    state, _ = jax.lax.scan(step, state, (rows, used, jnp.arange(steps)))
    parts = data["x_val"].reshape(10, -1, 784), data["y_val"].reshape(10, -1)
    right = jax.lax.map(lambda part: jnp.sum(_forward(state[0], one, part[0], None).argmax(1) == part[1]), parts)
    return state, jnp.sum(right) / data["y_val"].shape[0]


if __name__ == "__main__":
    main()
