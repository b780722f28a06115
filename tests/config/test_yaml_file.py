import time
from pathlib import Path

import pytest
from parsed import override

from hpo.config.yaml_file import Document, dotted, read_yaml
from hpo.errors import FileMistakes, NotFound


def read(folder: Path, text: str | bytes) -> Document:
    path = folder / "x.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_yaml(path)


def complaint(folder: Path, text: str | bytes) -> str:
    with pytest.raises(FileMistakes) as error:
        read(folder, text)
    return str(error.value).replace(f"{folder}/", "")


def test_values_and_the_line_of_every_key(tmp_path):
    document = read(tmp_path, "a: 1\nb:\n  c: [x,\n      y]\n  d: {e: true}\n")
    assert document.data == {"a": 1, "b": {"c": ["x", "y"], "d": {"e": True}}}
    lines = {dotted(key): place.rpartition(":")[2] for key, place in document.places.items()}
    assert lines == {"a": "1", "b": "2", "b.c": "3", "b.c[0]": "3", "b.c[1]": "4", "b.d": "5", "b.d.e": "5"}
    assert document.where(("b", "d", "missing")).endswith("x.yaml:5")
    assert document.where(("missing",)) == str(tmp_path / "x.yaml")


def test_a_part_keeps_its_lines_and_its_key_path(tmp_path):
    part = read(tmp_path, "a: 1\nb:\n  c:\n    d: 2\n").below("b", "c")
    assert part.data == {"d": 2}
    assert str(part.mistake(("d",), "is wrong")) == f"{tmp_path}/x.yaml:4: b.c.d: is wrong"
    assert str(part.mistake(("e",), "is required")) == f"{tmp_path}/x.yaml:3: b.c.e: is required"


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e-3", 0.001),
        ("1.0e-4", 0.0001),
        ("0o17", 15),
        ("017", 17),
        ("0x1F", 31),
        ("1_000", 1000),
        ("yes", "yes"),
        ("on", "on"),
        ("true", True),
        ("~", None),
        ("2020-01-01", "2020-01-01"),
        ("1:30", "1:30"),
        ("10m", "10m"),
        ("!!str 5", "5"),
        ("=", "="),
        ("é😀", "é😀"),
        ("9223372036854775807", 2**63 - 1),
    ],
)
def test_plain_values(tmp_path, written, value):
    read_value = read(tmp_path, f"a: {written}").data["a"]
    assert read_value == value
    assert type(read_value) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "x.yaml:3: a: this key is there twice"),
        ("a: {b: 1, c: 2, b: 3}", "x.yaml:1: a.b: this key is there twice"),
        ("a:\n\tb: 1", "x.yaml:2: found character '\\t' that cannot start any token; indent with spaces"),
        ("- 1", "x.yaml:1: must be a mapping of keys to values"),
        ("", "x.yaml: the file is empty"),
        ("# nothing\n", "x.yaml: the file is empty"),
        ("1: x\n1: y", "x.yaml:2: 1: this key is there twice"),
        ("null: x", "x.yaml:1: a key must be text, got 'null'; put it in quotes"),
        ("[a]: x", "x.yaml:1: a key must be text, got a list or mapping"),
        ("a: 1\n---\nb: 2", "x.yaml:2: expected a single document"),
        ("a: [1, 2", "x.yaml:1: expected ',' or ']'"),
        ("a: *b", "x.yaml:1: found undefined alias 'b'"),
        ("a: .nan", "x.yaml:1: a: must be a finite number, got .nan"),
        ("a: [1, -.inf]", "x.yaml:1: a[1]: must be a finite number, got -.inf"),
        ("a: 1e400", "x.yaml:1: a: must be a finite number, got 1e400"),
        ("a: 9223372036854775808", "x.yaml:1: a: must be a whole number of at most 64 bits"),
        ("a: " + "9" * 5000, "x.yaml:1: a: cannot be read as !!int"),
        ("a: !!int x", "x.yaml:1: a: cannot be read as !!int: x"),
        ("a: !!set {b}", "x.yaml:1: a: must be a plain value, not one tagged !!set"),
        ("a: !mine x", "x.yaml:1: a: must be a plain value, not one tagged !mine"),
        ('a: "\\0"', "x.yaml:1: a: must be text without NUL and surrogate characters"),
        ('a: "\\ud800"', "x.yaml:1: a: must be text without NUL and surrogate characters"),
        ('"\\ud800": 1', "x.yaml:1: a key must be text, got '\\ud800'"),
        ("a: b\0", "x.yaml: is not YAML: unacceptable character"),
        (b"\x7fELF\xff\xfe", "x.yaml: is not a text file in UTF-8"),
        ("a: {<<: 3}", "x.yaml:1: a.<<: must be a mapping, or a list of mappings"),
        ("#" * 300_000, "x.yaml: must be at most 250,000 bytes long"),
    ],
)
def test_mistakes(tmp_path, text, message):
    assert complaint(tmp_path, text).startswith(message)


def test_all_mistakes_at_once(tmp_path):
    found = complaint(tmp_path, "a: .nan\nb: !x y\na: 1\nnull: 2").splitlines()
    assert [line.split(":")[1] for line in found] == ["1", "2", "3", "4"]


def test_python_tags_construct_nothing(tmp_path):
    witness = tmp_path / "witness"
    text = f"a: !!python/object/apply:os.system ['touch {witness}']"
    assert "a: must be a plain value, not one tagged !!python/object/apply:os.system" in complaint(tmp_path, text)
    assert not witness.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "a: &a [x, x, x, x, x, x, x, x, x]\n"
            + "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
            "must hold at most 50,000 values, aliases expanded",
            id="aliases",
        ),
        pytest.param(
            "a0: &a0 {x: 1}\n"
            + "".join(f"a{i + 1}: &a{i + 1} {{<<: [{', '.join([f'*a{i}'] * 9)}]}}\n" for i in range(9)),
            "must hold at most 50,000 values, aliases expanded",
            id="merges",
        ),
        pytest.param("a: &a [*a]", "must be nested at most 50 levels deep", id="an alias in itself"),
        pytest.param("a: &a {<<: *a}", "must be nested at most 50 levels deep", id="a merge of itself"),
        pytest.param("a: " + "[" * 60 + "]" * 60, "must be nested at most 50 levels deep", id="deep"),
        pytest.param(
            "".join(f"{' ' * i}a:\n" for i in range(400)), "must be nested at most 50 levels deep", id="very deep"
        ),
    ],
)
def test_hostile_files_are_refused_soon(tmp_path, text, message):
    start = time.monotonic()
    assert message in complaint(tmp_path, text)
    assert time.monotonic() - start < 20


def test_aliases_and_merge_keys(tmp_path):
    document = read(tmp_path, "x: &x {a: 1, b: 2}\ny:\n  <<: *x\n  b: 3\nz: {<<: [{a: 5}, *x]}\nw: *x\nv: &x 7")
    assert document.data["y"] == {"b": 3, "a": 1}
    assert document.data["z"] == {"a": 5, "b": 2}
    assert document.data["w"] == {"a": 1, "b": 2}
    assert document.where(("y", "b")).endswith(":4")
    assert document.where(("y", "a")).endswith(":1")


def test_line_ends_and_byte_order_mark(tmp_path):
    document = read(tmp_path, b"\xef\xbb\xbfa: 1\r\nb: x\r\n")
    assert document.data == {"a": 1, "b": "x"}
    assert document.where(("b",)).endswith(":2")


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(NotFound, match=r"none.yaml: no such file"):
        read_yaml(tmp_path / "none.yaml")
    with pytest.raises(FileMistakes, match=r"cannot be read: Is a directory"):
        read_yaml(tmp_path)
    with pytest.raises(FileMistakes, match=r"cannot be read: embedded null byte"):
        read_yaml(Path("a\0b"))


def test_override(tmp_path):
    document = read(tmp_path, "name: x\nstudy: {sampler: tpe, trials: 5}\ndataset: digits\ntraining:\n")
    changed = override(
        document,
        [
            "study.trials=10",
            "study.sampler.n_startup_trials=3",
            "dataset.limit=100",
            "training.early_stopping={patience: 2}",
            "engine.workers=2",
            "study.timeout=",
        ],
    )
    assert changed.data == {
        "name": "x",
        "study": {"sampler": {"name": "tpe", "n_startup_trials": 3}, "trials": 10, "timeout": None},
        "dataset": {"name": "digits", "limit": 100},
        "training": {"early_stopping": {"patience": 2}},
        "engine": {"workers": 2},
    }
    assert document.data["study"] == {"sampler": "tpe", "trials": 5}
    assert changed.where(("study", "trials")) == "--set study.trials=10"
    assert changed.where(("engine",)) == "--set engine.workers=2"
    assert changed.where(("training", "early_stopping", "patience")).startswith("--set training")
    assert changed.where(("dataset", "name")).endswith("x.yaml:3")


def test_the_place_of_an_overridden_mapping_holds_for_all_inside(tmp_path):
    changed = override(read(tmp_path, "study: {trials: 5}"), ["study={trials: 0}"])
    assert changed.where(("study", "trials")) == "--set study={trials: 0}"


def test_override_mistakes_all_at_once(tmp_path):
    document = read(tmp_path, "name: x\nstudy: {trials: 5}")
    wrong = ["study.trials", "=3", "study..x=1", "name.x=1", "study.trials.x=1", "name=[", "name=.nan"]
    with pytest.raises(FileMistakes) as error:
        override(document, wrong)
    assert str(error.value).splitlines() == [
        "--set study.trials: must have the form key.key=value",
        "--set =3: must have the form key.key=value",
        "--set study..x=1: must have the form key.key=value",
        "--set name.x=1: name.x: name is 'x', not a mapping that could hold x",
        "--set study.trials.x=1: study.trials.x: study.trials is 5, not a mapping that could hold x",
        "--set name=[: expected the node content, but found '<stream end>'",
        "--set name=.nan: must be a finite number, got .nan",
    ]
