"""`hpo.tune` as a script and a notebook call it: functions of `__main__`, real workers, a real kernel."""

import os
import subprocess
import sys
from typing import Any

import pytest

SCRIPT = """
import keras
import numpy as np
import hpo

print("the body runs")
rng = np.random.default_rng(0)
x = rng.normal(size=(96, 4)).astype("float32")
ACTIVATION = "relu"

@keras.saving.register_keras_serializable()
class Doubled(keras.layers.Layer):
    def call(self, inputs):
        return 2 * inputs

def build(params, dataset):
    import matplotlib.pyplot as plt  # as a worker imports it, whatever the backend of this process is
    plt.close("all")
    inputs = keras.Input(dataset.input_shape)
    hidden = keras.layers.Dense(params["width"], activation=ACTIVATION)(inputs)
    return keras.Model(inputs, keras.layers.Dense(1)(Doubled()(hidden)))

class Noted(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.epochs = 0
    def on_epoch_end(self, epoch, logs=None):
        self.epochs += 1
        assert self.epochs == epoch + 1, "another trial's callback"

study = hpo.tune(build, hpo.Space(width=hpo.Int(2, 8)), data=(x, x.sum(axis=1)), epochs=2, trials=3,
                 workers=1, callbacks=[Noted()], study={"sampler": "random", "pruner": "none"})
print("trials", len(study.trials), [trial.state for trial in study.trials])
print("predicted", study.best.model().predict(x[:2], verbose=0).shape)

ACTIVATION = "tanh"
try:
    hpo.tune(build, hpo.Space(width=hpo.Int(2, 8)), data=(x, x.sum(axis=1)), epochs=2, trials=3)
except hpo.errors.StudyMismatch as error:
    print(error)
"""


def ran(folder, source):
    (folder / "script.py").write_text(source)
    environment = {**os.environ, "MPLBACKEND": "module://of.a.notebook"}
    command = [sys.executable, "script.py"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_a_script_without_a_guard_tunes_what_stands_in_it(tmp_path) -> None:
    first = ran(tmp_path, SCRIPT)
    assert first.returncode == 0, first.stderr
    assert first.stdout.count("the body runs") == 1
    assert "[3/3]" in first.stdout
    assert "trials 3 ['complete', 'complete', 'complete']" in first.stdout
    assert "predicted (2, 1)" in first.stdout
    assert "study build was defined otherwise:" in first.stdout
    assert "-ACTIVATION = 'relu'" in first.stdout
    assert "start another one with name=" in first.stdout
    # What was refused has left nothing.
    (code,) = (tmp_path / "mlruns/code/build").glob("build_*.py")
    assert code.stat().st_mode & 0o777 == 0o600
    assert "ACTIVATION = 'relu'" in (tmp_path / code.with_suffix(".txt")).read_text()


NOTEBOOK = [
    """
    import time, numpy as np, keras, hpo
    x = np.random.default_rng(0).normal(size=(96, 4)).astype("float32")
    class Slow(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            time.sleep(0.3)
    def build(hp):
        model = keras.Sequential([keras.layers.Dense(hp.Int("units", 2, 9)), keras.layers.Dense(1)])
        model.compile("adam", "mse")
        return model
    """,
    """
    study = hpo.tune(build, data=(x, x.sum(axis=1)), epochs=3, trials=4, workers=1, callbacks=[Slow()],
                     study={"sampler": "random", "pruner": "none"})
    print("done", len(study.trials), study.trials["state"].value_counts().to_dict())
    """,
    "study",
]


class Kernel:
    """A kernel of a notebook, cell by cell."""

    def __init__(self, folder) -> None:
        from jupyter_client.manager import start_new_kernel

        self.manager, self.client = start_new_kernel(cwd=str(folder))

    def end(self) -> None:
        """Kills it."""
        self.manager.shutdown_kernel(now=True)
        self.client.stop_channels()
        self.manager.context.destroy()

    def run(self, cell, until=None, then=None):
        """The outputs of a cell; once a text of its area contains `until`, `then` is called, and its end awaited."""
        import queue
        import textwrap

        number = self.client.execute(textwrap.dedent(cell))
        outputs: list[Any] = []
        while True:
            try:
                message = self.client.get_iopub_msg(timeout=60)
            except queue.Empty:
                raise AssertionError(outputs) from None
            if message["parent_header"].get("msg_id") != number:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "status" and content["execution_state"] == "idle":
                return outputs
            outputs.append((kind, content))
            if until is not None and until in str(content.get("data", {}).get("text/plain")):
                until = None
                if then is None:
                    return outputs
                then()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_notebook_stops_dies_and_goes_on(tmp_path) -> None:
    kernel = Kernel(tmp_path)
    try:
        kernel.run(NOTEBOOK[0])
        stopped = kernel.run(NOTEBOOK[1], "[1/4]", kernel.manager.interrupt_kernel)
        (error,) = [content for kind, content in stopped if kind == "error"]
        assert error["traceback"] == [
            "Interrupted: stopped; finished trials are kept: run the same cell or script again to go on"
        ]
        # One area, which is written anew.
        assert [kind for kind, _ in stopped].count("display_data") == 1
        kernel.run(NOTEBOOK[1], "[3/4]")
    finally:
        kernel.end()
    kernel = Kernel(tmp_path)
    try:
        kernel.run(NOTEBOOK[0])
        *_, (_, printed) = kernel.run(NOTEBOOK[1])
        assert "'complete': 4" in printed["text"]
        ((_, shown),) = [one for one in kernel.run(NOTEBOOK[2]) if one[0] == "execute_result"]
        assert "Use trial" in shown["data"]["text/html"]
        assert shown["data"]["text/plain"].startswith("Study build: 4 complete")
    finally:
        kernel.end()
