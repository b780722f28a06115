"""Values as they are written for people: short, with the digits that count, and settings as YAML reads them."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from hpo.text.values import counts, duration, listing, number, percent, score, setting, settings_table

finite = st.floats(-1e300, 1e300)


def read(text: str) -> Any:
    """What YAML makes of a value in a file."""
    return YAML(typ="safe", pure=True).load(f"key: {text}\n")["key"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.98765, "0.9877"), (0.05, "0.0500"), (1.0, "1.0000"), (0.0, "0.0000"), (-0.0, "0.0000"),
        (0.00277777, "0.00278"), (0.0042, "0.0042"), (0.00002, "2.0e-5"), (-0.0000123456, "-1.23e-5"),
        (0.009999999, "0.0100"), (999.99999, "1,000.0"), (1234.5678, "1,234.6"), (1_234_567.89, "1,234,567.9"),
        (1.23456e12, "1.2346e+12"), (math.nan, "nan"), (-math.inf, "-inf"), (None, "-"),
    ],
)  # fmt: skip
def test_scores(value: float | None, text: str) -> None:
    assert score(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"), (0.1 + 0.2, "0.3"), (0.00123456789, "0.00123"), (1e-5, "1.0e-5"), (2.34567e-5, "2.34567e-5"),
        (2.3456789e-5, "2.35e-5"), (128.0, "128"), (0.9999, "0.9999"), (0.99963271, "0.9996"), (1234.56789, "1234.6"),
        (1e6, "1.0e+6"), (1e300, "1.0e+300"), (0.0, "0"), (-0.0, "0"), (None, "-"),
    ],
)  # fmt: skip
def test_other_numbers(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("relu", "relu"), ("models.py:build", "models.py:build"), ("mean squared", "mean squared"), ("1", '"1"'),
        ("true", '"true"'), ("null", '"null"'), ("", '""'), ("a: b", '"a: b"'), ("a #b", '"a #b"'), ("1e3", '"1e3"'),
        (True, "true"), (None, "null"), (5, "5"), (1_000_000, "1000000"), ([64, 32], "[64, 32]"), ((), "[]"),
        ({"name": "step", "at": [0.5, 1e-5], "deep": {"on": {}}}, '{name: step, at: [0.5, 1.0e-5], deep: {"on": {}}}'),
    ],
)  # fmt: skip
def test_settings(value: Any, text: str) -> None:
    assert setting(value) == text


@given(finite)
def test_any_float_is_short_and_near(value: float) -> None:
    for text in (score(value), number(value)):
        assert len(text) <= 15
        assert float(text.replace(",", "")) == pytest.approx(value, rel=0.0051, abs=1e-300)
    assert float(number(value)).is_integer() == float(f"{value:.12g}").is_integer()


digits, powers = st.integers(-999_999, 999_999), st.integers(-20, 20)
short = st.builds(lambda number, power: float(f"{number}e{power}"), digits, powers)
scalars = st.none() | st.booleans() | st.integers() | short | st.text()
nested = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)


@given(nested)
def test_any_setting_is_read_back_by_yaml(value: Any) -> None:
    text = setting(value)
    assert "\n" not in text
    assert read(text) == value


def test_settings_that_only_look_alike_differ() -> None:
    alike = [1, "1", True, "true", None, "null", 0.5, "0.5", [1], "[1]", {}, "{}"]
    assert len(set(map(setting, alike))) == len(alike)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"), (0.0321, "0.032 s"), (0.5, "0.5 s"), (1.0, "1.0 s"), (59.94, "59.9 s"), (59.96, "1 min"),
        (0, "0 s"), (7, "7 s"), (61, "1 min 01 s"), (3599.7, "1 h"), (3661.0, "1 h 01 min"), (176_520, "49 h 02 min"),
        (None, "-"),
    ],
)  # fmt: skip
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


@given(st.floats(0, 1e9))
def test_any_duration_is_right_to_its_last_digit(seconds: float) -> None:
    units = {"s": 1, "min": 60, "h": 3600}
    words = duration(seconds).split()
    told = sum(float(amount) * units[unit] for amount, unit in zip(words[::2], words[1::2], strict=True))
    assert told == pytest.approx(seconds, abs=60.5 if seconds > 3000 else 0.51, rel=0)


def test_words() -> None:
    assert percent(0.9876) == "98.8%"
    assert counts({"complete": 1200, "failed": 1}) == "1,200 complete, 1 failed"
    assert counts({}) == "none"
    assert [listing(range(size)) for size in range(4)] == ["", "0", "0 and 1", "0, 1 and 2"]
    assert settings_table({"a_|": [1, "x"]})[2] == r"| a\_\| | \[1, x\] |"
