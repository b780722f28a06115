"""The number of examples that a confirmed score is measured on, by what studies record of their data."""

import pytest

from hpo.confirm.confirm import _examples
from hpo.study.read import StudyView


def view(data) -> StudyView:
    return StudyView("s", {}, {}, {}, {}, (), "sqlite://", data=data)


SIZES = {"training": 20, "validation": 20, "test": 30}


@pytest.mark.parametrize(
    ("more", "validation"),
    [
        ({}, 20),
        ({"folds": None, "draws": [{"purpose": "validation", "method": "shuffled"}]}, 20),
        # Studies of earlier versions do not say how their parts were drawn.
        ({"folds": 2, "draws": [{"purpose": "validation"}]}, 40),
        # In the order of time, the first of six sixths is validated by no fold.
        (
            {
                "folds": 5,
                "draws": [{"purpose": "test", "method": "latest"}, {"purpose": "validation", "method": "latest"}],
            },
            100,
        ),
    ],
)
def test_folds_hold_out_together_what_each_holds_out(more, validation):
    assert _examples(view({"sizes": SIZES, **more})) == {"validation": validation, "test": 30}


def test_studies_that_kept_no_sizes_of_parts_have_no_number_of_examples():
    assert _examples(view({})) == {}
