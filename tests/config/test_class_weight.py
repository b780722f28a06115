"""Class weights: which class a key names, and the keys that name none."""

import pytest

from hpo.config.class_weight import class_number, class_weight_mistakes
from hpo.config.experiment import TrainingSpec


@pytest.mark.parametrize(
    ("key", "labels", "number"),
    [
        ("spam", ("ham", "spam"), 1),
        ("1", ("ham", "spam"), 1),
        ("2", ("ham", "spam"), None),
        ("0.5", ("ham", "spam"), None),
        ("eggs", ("ham", "spam"), None),
        # What classes are called comes before their numbers.
        ("1", ("1", "2", "3"), 0),
        ("0", ("1", "2", "3"), None),
        ("1", ("0.0", "1.0"), 1),
        ("true", ("False", "True"), 1),
        ("-1", ("-1", "1"), 0),
    ],
)
def test_which_class_a_key_names(key, labels, number):
    assert class_number(key, labels) == number


def test_what_names_no_class():
    labels = ("ham", "spam")
    assert class_weight_mistakes({"ham": 1.0, "1": 2.0}, labels) == {}
    assert class_weight_mistakes("balanced", labels) == class_weight_mistakes(None, ()) == {}
    assert class_weight_mistakes({"eggs": 1.0, "ham": 1.0, "0": 2.0}, labels) == {
        "eggs": "there is no class eggs; valid: ham, spam",
        "0": "names the class ham again, which ham names",
    }
    many = tuple(map(str, range(100)))
    assert class_weight_mistakes({"100": 1.0}, many)["100"] == "there is no class 100; there are 100: 0, 1, 2, ... 99"
    assert class_weight_mistakes("balanced", ())[""].startswith("only classification has classes")


def test_keys_from_python_and_from_yaml_are_the_same():
    given = TrainingSpec.model_validate({"class_weight": {0: 2.0, "spam": 1}})
    assert given.class_weight == {"0": 2.0, "spam": 1.0}
    assert TrainingSpec.model_validate(given.model_dump(mode="json")) == given
