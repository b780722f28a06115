"""Runs of the user's code see their process as a script would that Python has just started."""

import contextlib
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from hpo.errors import ModelError
from hpo.training.fresh_process import run_fresh
from hpo.training.global_settings import Settings
from hpo.training.keras_compat import thread_state

ModuleOf = Callable[[str, str], str]


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """Whatever a test does to this process ends with it."""
    settings = Settings(own_process=True)
    yield
    settings.restore()
    thread_state().clear()


@pytest.fixture
def module_of(tmp_path: Path) -> Iterator[ModuleOf]:
    """Writes a module of a name that no other test takes, with a function `build` that does nothing."""
    names = []

    def write(name: str, text: str) -> str:
        names.append(name)
        (tmp_path / f"{name}.py").write_text(f"{text}\ndef build(params, dataset): ...\n")
        return f"{name}:build"

    yield write
    for name in names:
        sys.modules.pop(name, None)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Any]:
    """Runs a function as a trial does, in a thread of its own; returns what it returned."""

    def run(path: str, function: Callable[[Any], Any], own_process: bool = True) -> Any:
        results: list[Any] = []

        def trial() -> None:
            module = path.partition(":")[0]
            results.append(run_fresh([path], [str(tmp_path)], own_process, lambda: function(sys.modules[module])))

        thread = threading.Thread(target=trial)
        thread.start()
        thread.join()
        return results[0]

    return run


AT_IMPORT = """
import os, warnings
import keras, numpy as np, tensorflow as tf
keras.mixed_precision.set_global_policy("mixed_bfloat16")
keras.config.disable_traceback_filtering()
keras.config.set_epsilon(1e-3)
keras.layers.Dense(1)
os.environ["SET_AT_IMPORT"] = "1"
np.seterr(divide="raise")
keras.saving.get_custom_objects()["at_import"] = int
"""


def _seen(module: Any) -> tuple[Any, ...]:
    return (
        keras.config.dtype_policy().name,
        keras.config.is_traceback_filtering_enabled(),
        keras.config.epsilon(),
        keras.layers.Dense(1).name,
        os.environ.get("SET_AT_IMPORT"),
        np.geterr()["divide"],
        "at_import" in keras.saving.get_custom_objects(),
    )


def test_settings_made_at_import_hold_in_each_run(module_of: ModuleOf, run: Callable[..., Any]) -> None:
    path = module_of("sets_at_import", AT_IMPORT)
    set_then = ("mixed_bfloat16", False, 1e-3, "dense_1", "1", "raise", True)
    assert [run(path, _seen) for _ in range(3)] == [set_then] * 3
    # The thread of whoever runs trials keeps what is its own.
    assert keras.config.dtype_policy().name == "float32"
    assert np.geterr()["divide"] != "raise"


def test_settings_of_modules_imported_while_the_model_is_explored_hold_too(
    module_of: ModuleOf, tmp_path: Path, run: Any
) -> None:
    path = module_of("explored_first", AT_IMPORT)
    run_fresh([path], [str(tmp_path)], True, lambda: keras.mixed_precision.set_global_policy("float64"))
    assert keras.config.dtype_policy().name == "float32"
    assert run(path, _seen)[:2] == ("mixed_bfloat16", False)


def test_settings_of_modules_imported_earlier_hold_as_in_the_importing_thread(
    module_of: ModuleOf, tmp_path: Path, run: Any
) -> None:
    path = module_of("imported_before", AT_IMPORT)
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(tmp_path)
        __import__("imported_before")
    assert keras.config.dtype_policy().name == "mixed_bfloat16"
    run_fresh([path], [str(tmp_path)], False, lambda: None)
    # Names of layers are no setting.
    assert run(path, _seen)[:4] == ("mixed_bfloat16", False, 1e-3, "dense")


def _set_everything(module: Any) -> None:
    keras.mixed_precision.set_global_policy("mixed_float16")
    keras.config.set_floatx("float64")
    keras.config.set_epsilon(1e-2)
    keras.config.set_image_data_format("channels_first")
    keras.config.disable_traceback_filtering()
    keras.config.disable_interactive_logging()
    keras.utils.set_random_seed(5)
    keras.saving.get_custom_objects()["mine"] = int
    keras.saving.register_keras_serializable("mine")(type("Mine", (), {"get_config": lambda self: {}}))
    keras.layers.Dense(1)
    tf.config.run_functions_eagerly(True)
    tf.config.optimizer.set_experimental_options({"constant_folding": False})
    tf.config.experimental.enable_tensor_float_32_execution(False)
    os.environ["SET_BY_A_TRIAL"] = "1"
    os.environ.pop("PATH")
    os.chdir("/")
    sys.path.insert(0, "/nowhere")
    warnings.simplefilter("ignore")
    np.seterr(all="raise")


def _everything(module: Any) -> list[Any]:
    return [
        keras.config.dtype_policy().name,
        keras.config.floatx(),
        keras.config.epsilon(),
        keras.config.image_data_format(),
        keras.config.is_traceback_filtering_enabled(),
        keras.config.is_interactive_logging_enabled(),
        thread_state().get("global_random_seed"),
        sorted(keras.saving.get_custom_objects()),
        tf.config.functions_run_eagerly(),
        tf.config.optimizer.get_experimental_options().get("constant_folding", True),
        tf.config.experimental.tensor_float_32_execution_enabled(),
        dict(os.environ),
        os.getcwd(),
        sys.path,
        list(warnings.filters),
        np.geterr(),
        keras.layers.Dense(1).name,
    ]


@pytest.mark.parametrize("clears", [False, True])
def test_settings_of_a_run_end_with_it(module_of: ModuleOf, run: Callable[..., Any], clears: bool) -> None:
    path = module_of(f"plain_{clears}", "")

    def trial(module: Any) -> None:
        _set_everything(module)
        if clears:
            keras.utils.clear_session()

    before = run(path, _everything)
    run(path, trial)
    assert run(path, _everything) == before


def test_a_process_that_others_use_keeps_its_environment(module_of: ModuleOf, run: Callable[..., Any]) -> None:
    path = module_of("beside_others", "")
    run(path, lambda module: os.environ.update(SET_MEANWHILE="1"), own_process=False)
    assert os.environ["SET_MEANWHILE"] == "1"


STATE = """
import collections, random
import keras, numpy as np, tensorflow as tf

count = 0
seen, names, table = [], {}, {"inner": {"deep": [1]}}
unique, queue = {1}, collections.deque([1])
rng, old_rng, py_rng = np.random.default_rng(3), np.random.RandomState(3), random.Random(3)
weights = np.zeros(3)
optimizer = keras.optimizers.Adam(0.5)
shared = keras.layers.Dense(4)
variable = tf.Variable([1.0, 2.0])
generator = tf.random.Generator.from_seed(1)

class Settings:
    made = 0
    def __init__(self):
        Settings.made += 1
        self.tries = []

settings = Settings()

def counted():
    counted.calls += 1
counted.calls = 0

def change():
    global count, added
    count += 1
    added = True
    seen.append(1); names["a"] = 1; table["inner"]["deep"].append(2); unique.add(2); queue.append(2)
    weights[:] += 1; variable.assign([3.0, 4.0])
    Settings.made += 1; Settings.extra = 1; settings.tries.append(1); settings.other = 1
    counted()
    keras.Sequential([keras.Input((count + 1,)), shared]).compile(optimizer, "mse")
    shared.kernel.assign(shared.kernel * 0)
    optimizer.build(shared.trainable_variables)
    return state()

def state():
    uniform = generator.uniform([], maxval=10**6, dtype=tf.int32)
    drawn = [rng.integers(10**6), old_rng.randint(10**6), py_rng.random(), int(uniform)]
    return [
        count, "added" in globals(), seen[:], dict(names), str(table), set(unique), list(queue), weights.tolist(),
        Settings.made, hasattr(Settings, "extra"), list(settings.tries), hasattr(settings, "other"),
        counted.calls, optimizer.built, len(optimizer.variables), shared.built, len(shared.variables),
        variable.numpy().tolist(), drawn,
    ]
"""


def test_changes_of_a_run_to_the_users_module_are_undone(module_of: ModuleOf, run: Callable[..., Any]) -> None:
    path = module_of("keeps_state", STATE)
    fresh = run(path, lambda module: module.state())
    changed = run(path, lambda module: module.change())
    assert all(one != other for one, other in zip(fresh[:-1], changed[:-1], strict=True))
    assert run(path, lambda module: module.change()) == changed
    assert run(path, lambda module: module.state()) == fresh


def test_a_module_that_a_run_imports_is_imported_in_each(module_of: ModuleOf, run: Callable[..., Any]) -> None:
    path = module_of("imports_late", "")
    module_of("late", "import keras\nkeras.mixed_precision.set_global_policy('float64')\n")

    def trial(module: Any) -> str:
        __import__("late")
        return str(keras.config.dtype_policy().name)

    assert [run(path, trial), run(path, trial)] == ["float64"] * 2
    assert "late" not in sys.modules
    assert "imports_late" in sys.modules


def test_data_that_are_large_are_left_alone(module_of: ModuleOf, run: Callable[..., Any]) -> None:
    path = module_of("large", "import numpy as np\ndata = np.zeros(200_000)\nmany = list(range(20_000))")

    def trial(module: Any) -> None:
        module.data[0] += 1
        module.many.append(1)

    run(path, trial)
    assert run(path, lambda module: (module.data[0], len(module.many))) == (1, 20_001)


def test_a_module_that_raises_does_so_each_time_and_leaves_nothing_set(module_of: ModuleOf, tmp_path: Path) -> None:
    path = module_of("raises", "import keras\nkeras.mixed_precision.set_global_policy('float64')\n1 / 0")
    for _ in range(2):
        with pytest.raises(ModelError, match=r"raises\.py:3: ZeroDivisionError"):
            run_fresh([path], [str(tmp_path)], True, lambda: None)
    assert keras.config.dtype_policy().name == "float32"


def test_a_run_that_raises_leaves_nothing_set(module_of: ModuleOf, run: Callable[..., Any]) -> None:
    path = module_of("fails", "seen = []")

    def trial(module: Any) -> None:
        module.seen.append(1)
        keras.config.set_floatx("float64")
        raise ValueError

    def guarded(module: Any) -> None:
        with contextlib.suppress(ValueError):
            run_fresh([path], [str(Path(module.__file__).parent)], True, lambda: trial(module))

    run(path, guarded)
    assert run(path, lambda module: (module.seen, keras.config.floatx())) == ([], "float32")
