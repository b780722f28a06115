"""What a function returned is kept from run to run: when it is called again, and what is read instead."""

import os
import signal
import sys
import time
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from studies import process

from hpo.config.experiment import DatasetSpec
from hpo.config.space import dataset_with
from hpo.data import disk_cache, function_cache, function_key, load
from hpo.data.info_json import info_as_json
from hpo.data.prepared_variants import PreparedVariants, Variants
from hpo.data.several import by_name
from hpo.errors import DataError

MODULE = """
import numpy as np
from helpers_of_cached.inner import FACTOR

def note_call():
    with open("calls", "a") as file:
        file.write("called\\n")

def data(size=60, table=None):
    from lazily_cached import offset
    note_call()
    x = FACTOR * np.arange(2.0 * size).reshape(size, 2) + offset()
    return {"train": (x, np.arange(size) % 3)}

def all_kinds():
    note_call()
    rng = np.random.default_rng(0)
    def part(size):
        x = {
            "picture": rng.integers(0, 255, (size, 4, 4), np.uint8),
            "title": np.array([f"title {n} \\u00e9" for n in range(size)]),
            "numbers": np.asfortranarray(rng.normal(size=(size, 3)))[:, ::2],
            "one": rng.normal(size=size).astype("float32"),
        }
        return x, np.array(["no", "yes"])[np.arange(size) % 2], rng.random(size)
    return {"train": part(60), "validation": part(20), "test": part(20)}

def listed():
    x = [np.ones((60, 2)), np.arange(60)]
    return {"train": (x, [np.arange(60.0), np.arange(60) % 2])}

def reconstruction():
    return {"train": np.asfortranarray(np.random.default_rng(0).random((90, 5)))}

def pipelines():
    import tensorflow as tf
    made = tf.data.Dataset.from_tensor_slices((np.ones((9, 2)), np.arange(9.0)))
    return {"train": made, "validation": made, "test": made}

def broken():
    note_call()
    return {"train": (np.full((60, 2), np.nan), np.arange(60) % 3)}
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with a user's modules, which is the working directory."""
    monkeypatch.setenv("HPO_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "project"
    (folder / "helpers_of_cached").mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (folder / "cached.py").write_text(MODULE)
    (folder / "helpers_of_cached" / "__init__.py").write_text("")
    (folder / "helpers_of_cached" / "inner.py").write_text("FACTOR = 2\n")
    (folder / "lazily_cached.py").write_text("def offset():\n    return 1\n")
    (folder / "other.py").write_text("")
    (folder / "tables" / "deep").mkdir(parents=True)
    (folder / "tables" / "deep" / "a.csv").write_text("1")
    yield folder
    as_in_a_new_process()


def as_in_a_new_process():
    for name in [one for one in sys.modules if one.partition(".")[0] in NAMES]:
        del sys.modules[name]


NAMES = ("cached", "helpers_of_cached", "lazily_cached", "other")


def loaded(folder, function="data", **keys):
    as_in_a_new_process()
    return load(DatasetSpec(function=f"cached:{function}", cache=True, **keys), [folder])


def calls(folder):
    return (folder / "calls").read_text().count("called") if (folder / "calls").exists() else 0


def entry(folder):
    (found,) = (folder.parent / "cache" / "data").glob("*/")
    return found


def test_a_function_is_called_once_and_the_notes_say_so(project) -> None:
    first, second = loaded(project), loaded(project)
    assert calls(project) == 1
    kept = entry(project)
    assert f"the data of cached:data are kept for later runs in {kept}" in first.info.notes
    known = "the data of cached:data are those that an earlier run kept; to have it called again, delete"
    assert f"{known} {kept}" in second.info.notes
    assert (kept.stat().st_mode & 0o77, kept.parent.stat().st_mode & 0o77) == (0, 0)
    # How they are divided is no matter of what is kept.
    assert loaded(project, seed=4, scaling="none").info.sizes == first.info.sizes
    assert calls(project) == 1


CHANGES = {
    "its code": lambda folder: (folder / "cached.py").write_text(MODULE + "\n"),
    "a module": lambda folder: (folder / "helpers_of_cached" / "inner.py").write_text("FACTOR = 3\n"),
    "its package": lambda folder: (folder / "helpers_of_cached" / "__init__.py").write_text("# other\n"),
    "a lazy one": lambda folder: (folder / "lazily_cached.py").write_text("def offset():\n    return 2\n"),
    "a table": lambda folder: (folder / "tables" / "deep" / "a.csv").write_text("2"),
    "another one": lambda folder: (folder / "tables" / "b.csv").write_text("1"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_it_is_called_again_once_what_it_depends_on_has_changed(project, change) -> None:
    arguments = {"size": 60, "table": {"of": ["tables"]}}
    for _ in range(2):
        loaded(project, arguments=arguments)
    CHANGES[change](project)
    for _ in range(2):
        loaded(project, arguments=arguments)
    assert calls(project) == 2


def test_arguments_the_working_directory_and_libraries_count_and_other_files_do_not(project, monkeypatch) -> None:
    for arguments in (None, {"size": 70}, {}, {"size": 70}):
        loaded(project, arguments=arguments)
    assert calls(project) == 2
    (project / "other.py").write_text("changed = 1\n")
    (project / "tables" / "b.csv").write_text("1")
    loaded(project)
    assert calls(project) == 2
    monkeypatch.setattr(function_key, "versions", lambda: {"python": "3", "numpy": "0.1"})
    loaded(project)
    assert calls(project) == 3
    monkeypatch.chdir(project / "tables")
    loaded(project)
    assert calls(project / "tables") == 1


@pytest.mark.parametrize("function", ["all_kinds", "listed", "reconstruction"])
def test_data_from_the_cache_are_equal_to_the_last_bit(project, function) -> None:
    keys: dict[str, Any] = {"task": "reconstruction"} if function == "reconstruction" else {}
    as_in_a_new_process()
    plain = load(DatasetSpec(function=f"cached:{function}", **keys), [project])
    for _ in range(2):
        found = loaded(project, function, **keys)
        assert {**info_as_json(found.info), "notes": []} == {**info_as_json(plain.info), "notes": []}
        for name in ("training", "validation", "test"):
            for which in ("x", "y", "weights"):
                mine, theirs = getattr(found.part(name), which), getattr(plain.part(name), which)
                assert (mine is None) == (theirs is None)
                if mine is not None:
                    assert list(by_name(mine)) == list(by_name(theirs))
                    for one, other in zip(by_name(mine).values(), by_name(theirs).values(), strict=True):
                        assert one.dtype == other.dtype
                        np.testing.assert_array_equal(one, other)


def cut(file):
    os.truncate(file, file.stat().st_size // 2)


def flipped(file):
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def emptied(file):
    file.write_text("")


def renamed(file):
    file.write_text(file.read_text().replace("cached:data", "cached:date"))


def replaced(file):
    file.write_text('{"described": 1}')


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("training_x.npy", cut), ("training_x.npy", flipped), ("training_y.npy", os.unlink), ("meta.json", emptied),
        ("meta.json", renamed), ("meta.json", cut), ("meta.json", replaced),
    ],
)  # fmt: skip
def test_what_is_damaged_is_made_anew_with_a_note(project, name, damage) -> None:
    whole = loaded(project)
    damage(entry(project) / name)
    again = loaded(project)
    assert f"cached:data was called again, since {entry(project) / name} is damaged" in again.info.notes
    assert (again.info.digest, calls(project)) == (whole.info.digest, 2)
    loaded(project)
    assert calls(project) == 2


CODE = """
import os, signal
from pathlib import Path
from hpo.config.experiment import DatasetSpec
from hpo.data import disk_cache, load
{before}
load(DatasetSpec(function="cached:data", cache=True), [Path.cwd()])
"""


def test_a_kill_while_it_writes_leaves_nothing_that_is_used(project) -> None:
    killed = process(CODE.format(before="disk_cache._to_disk = lambda file: os.kill(os.getpid(), signal.SIGKILL)"))
    assert killed.wait(60) == -signal.SIGKILL
    cache = project.parent / "cache" / "data"
    (left,) = cache.glob("*/")
    assert (left.suffix, (left / "meta.json").exists()) == (".new", True)
    loaded(project)
    assert calls(project) == 2
    assert {one.suffix for one in cache.iterdir()} == {"", ".lock"}
    loaded(project)
    assert calls(project) == 2


def test_of_two_processes_at_once_one_calls_it(project) -> None:
    (project / "lazily_cached.py").write_text("import time\n\ndef offset():\n    time.sleep(2)\n    return 1\n")
    both = [process(CODE.format(before="")) for _ in range(2)]
    assert [one.wait(60) for one in both] == [0, 0], [one.stderr.read() for one in both if one.stderr]
    assert calls(project) == 1


def test_a_module_that_was_edited_after_its_import_is_not_taken_for_what_was_called(project) -> None:
    loaded(project)
    (project / "lazily_cached.py").write_text("def offset():\n    return 5\n")
    for _ in range(2):
        # The module that this process has imported still returns 1.
        found = load(DatasetSpec(function="cached:data", cache=True), [project])
        assert "are not kept: lazily_cached may have changed after this process imported it" in found.info.notes[-1]
    assert calls(project) == 3
    loaded(project)
    loaded(project)
    assert calls(project) == 4


def test_files_that_change_while_it_is_called(project) -> None:
    (project / "lazily_cached.py").write_text(
        "import pathlib\n\ndef offset():\n    pathlib.Path('tables/deep/a.csv').write_text('more')\n    return 1\n"
    )
    for count in (1, 2):
        notes = loaded(project, arguments={"table": "tables/deep/a.csv"}).info.notes
        assert notes[-1].endswith("are not kept: files that decide them changed while they were made")
        assert calls(project) == count


def test_the_data_used_longest_ago_make_room(project, monkeypatch) -> None:
    loaded(project, arguments={"size": 100})
    first = entry(project)
    monkeypatch.setattr(function_cache, "_MOST_BYTES", 2.5 * sum(one.stat().st_size for one in first.iterdir()))
    loaded(project, arguments={"size": 101})
    for age, place in ((50, first), (99, next(iter({*first.parent.glob("*/")} - {first})))):
        for file in (*place.iterdir(), place):
            os.utime(file, (time.time() - age, time.time() - age))
    loaded(project, arguments={"size": 100})
    loaded(project, arguments={"size": 102})
    assert calls(project) == 3
    assert len([*first.parent.glob("*/")]) == 2
    assert first.exists()
    notes = loaded(project, arguments={"size": 1000}).info.notes
    assert "are not kept: they take 2.4e-05 GB, and there is no room for that in" in notes[-1]
    assert len([*first.parent.glob("*/")]) == 2


def test_a_disk_that_cannot_be_written(project, monkeypatch) -> None:
    def full(file):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(disk_cache, "_to_disk", full)
        notes = loaded(project).info.notes
    assert "No space left on device; the environment variable HPO_CACHE names another" in notes[-1]
    assert not [*(project.parent / "cache" / "data").glob("*/")]
    monkeypatch.setenv("HPO_CACHE", str(project / "cached.py"))
    with pytest.raises(DataError, match=r"cached\.py/data: cannot be written: Not a directory; the environment"):
        loaded(project)


def test_pipelines_and_data_that_are_refused_are_not_kept(project) -> None:
    with pytest.raises(
        DataError, match=r"^is for a function that returns arrays, and cached:pipelines returns"
    ) as told:
        loaded(project, "pipelines")
    assert told.value.key == ("dataset", "cache")
    for _ in range(2):
        with pytest.raises(DataError, match="must be finite numbers"):
            loaded(project, "broken")
    assert calls(project) == 2
    with pytest.raises(DataError, match="cached has no attribute 'dat'; did you mean data"):
        loaded(project, "dat")


@pytest.mark.parametrize(
    ("keys", "rule"),
    [
        ({"name": "iris"}, "there is none"),
        ({"function": "a:b", "steps_per_epoch": 3}, "with steps_per_epoch it yields fresh batches"),
    ],
)
def test_what_cannot_be_kept_is_a_mistake_of_the_file(keys, rule) -> None:
    with pytest.raises(ValidationError, match=f"cache keeps the arrays that a function returns, and {rule}"):
        DatasetSpec(cache=True, **keys)


def test_variants_are_kept_each_and_those_of_one_content_are_one_folder(project, tmp_path) -> None:
    spec = DatasetSpec(function="cached:data", cache=True, arguments={"size": 60}, shuffle=False)

    def folders():
        as_in_a_new_process()
        data = PreparedVariants(Variants(spec, [project]), tmp_path / f"scratch {calls(project)}")
        varied = [{"size": 70}, {"size": 60, "table": "tables"}]
        return [data.base, *(data.folder(dataset_with(spec, {"dataset.arguments": one})) for one in varied)]

    for _ in range(2):
        base, other, same = folders()
        assert base == same != other
        assert calls(project) == 3


def test_a_folder_of_too_many_files_is_refused(project, monkeypatch) -> None:
    monkeypatch.setattr(function_key, "_MOST_FILES", 1)
    loaded(project, arguments={"table": "tables"})
    (project / "tables" / "b.csv").write_text("1")
    with pytest.raises(DataError, match=r"tables, which has more than 1 files: too many") as told:
        loaded(project, arguments={"table": "tables"})
    assert told.value.key == ("dataset", "arguments", "table")
