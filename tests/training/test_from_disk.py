"""Samples that are read from disk while a model trains have the figures of samples in memory."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from toys import SAMPLES, dataset, model_of

from hpo.data import open_prepared, save
from hpo.data.mapped import Mapped
from hpo.training import from_disk
from hpo.training.from_disk import DiskStream, order_by_blocks
from hpo.training.graph import GraphLoop
from hpo.training.tensors import scaled

L = keras.layers
BATCH, WINDOW = 16, 48


@pytest.fixture
def on_disk(tmp_path, monkeypatch):
    """Toy data in memory, and the same in a file, from which some samples are read at a time."""
    monkeypatch.setattr(from_disk, "_BLOCK_BYTES", 500)
    monkeypatch.setattr(from_disk, "_PIECE_BYTES", 36 * 20)
    data = dataset()
    parts = [data.training, data.validation, data.test]
    places = np.random.default_rng(0).permutation(sum(map(len, parts)))
    images = np.concatenate([part.x for part in parts])
    stored = np.empty_like(images)
    stored[places] = images
    np.save(tmp_path / "images.npy", stored)
    edges = np.cumsum([len(part) for part in parts])[:-1]
    mapped = [Mapped(tmp_path / "images.npy", rows) for rows in np.split(places, edges)]
    new = [replace(part, x=x) for part, x in zip(parts, mapped, strict=True)]
    info = replace(data.info, window=WINDOW, sizes={"training": SAMPLES, "validation": 50, "test": 50})
    return data, replace(data, info=info, training=new[0], validation=new[1], test=new[2])


def figures(model, data, orders, weights=None):
    """The figures of each epoch, those of the validation part with `val_`, and the last outputs."""
    loop, found = GraphLoop(model, data, weights, keeps_outputs=True), []
    rates = np.full(-(-SAMPLES // BATCH), 0.003)
    for order in orders:
        trained = loop.train(order, BATCH, lambda _: None, rates)
        validated = loop.evaluate("validation", lambda _: None)
        found.append(trained | {f"val_{name}": value for name, value in validated.items()})
    return found, loop.outputs


def small():
    return model_of(L.Flatten, lambda: L.Dense(3, "softmax"))


def test_training_and_evaluation_are_those_of_samples_in_memory(on_disk):
    _, disk = on_disk
    orders = [order_by_blocks(3, epoch, disk.training.x, WINDOW) for epoch in range(2)]
    weights = np.linspace(0.5, 2, SAMPLES).astype(np.float32)
    (theirs, outputs), (mine, own) = (figures(small(), data, orders, weights) for data in on_disk)
    assert mine == [pytest.approx(one, rel=1e-5) for one in theirs]
    assert own == pytest.approx(outputs, abs=1e-6)

    # By `model.fit`, where a model needs it: without weights, from the same first order.
    model = small()
    stream = DiskStream(disk, model, 3)
    pipeline = stream("training", BATCH).map(lambda x, y: (scaled(x, disk.info.scaling), y))
    assert len(pipeline) == 13
    model.optimizer.learning_rate = 0.003
    logs = model.fit(pipeline, epochs=2, shuffle=False, verbose=0).history
    for data in on_disk:
        graph, _ = figures(small(), data, orders)
        assert logs["loss"] == pytest.approx([one["loss"] for one in graph], rel=1e-4)


def test_each_epoch_has_all_samples_in_another_order_window_by_window(on_disk):
    _, disk = on_disk
    x = disk.training.x
    first, second = (order_by_blocks(3, epoch, x, WINDOW) for epoch in range(2))
    assert sorted(first) == sorted(second) == [*range(SAMPLES)]
    assert not np.array_equal(first, second)
    assert np.array_equal(first, order_by_blocks(3, 0, x, WINDOW))
    # A window is made of few blocks of 14 or 15 neighbours.
    block = np.repeat(np.arange(14), [len(one) for one in np.array_split(np.arange(SAMPLES), 14)])
    assert all(len(np.unique(block[window])) <= 5 for window in np.split(first, range(WINDOW, SAMPLES, WINDOW)))


def test_reading_finds_the_rows_and_notices_a_file_that_was_cut(on_disk):
    _, disk = on_disk
    x = disk.training.x
    places = np.random.default_rng(1).permutation(SAMPLES)[:90]
    assert np.array_equal(x.read(places), x[places])
    content = x.file.read_bytes()
    x.file.write_bytes(content[: len(content) // 2])
    with pytest.raises(Exception, match="ends before image"):
        x.read(places)
    x.file.write_bytes(content)


def test_a_prepared_dataset_refers_to_the_file_and_keeps_samples_and_labels_together(tmp_path, on_disk, monkeypatch):
    memory, disk = on_disk
    shifted = replace(disk.test, x=np.asarray(disk.test.x) + 1)
    save(
        replace(disk, extra_tests={"shifted": shifted}, info=replace(disk.info, extra_tests=("shifted",))),
        tmp_path / "d",
    )
    opened = open_prepared(tmp_path / "d")
    assert isinstance(opened.training.x, Mapped)
    assert (np.diff(opened.training.x.rows) > 0).all()
    for name in ("training", "validation", "test"):
        mine, theirs = (
            sorted((int(y), x.tobytes()) for x, y in zip(np.asarray(part.x), part.y, strict=True))
            for part in (opened.part(name), memory.part(name))
        )
        assert mine == theirs
    assert np.array_equal(opened.extra_tests["shifted"].x, np.asarray(opened.test.x) + 1)
