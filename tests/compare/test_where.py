"""Expressions over a table, evaluated by SQLite."""

import pandas as pd
import pytest

from hpo.compare.where import where
from hpo.errors import UserError

FRAME = pd.DataFrame(
    {
        "state": ["complete", "pruned", "failed"],
        "depth": [1, 2, 3],
        "order": [3.0, None, 1.0],
        "training.batch_size": [32, 64, 128],
        'say "so"': [1, 2, 3],
        "nesterov": [True, None, False],
        "widths": [[8], [8, 4], [8]],
        "options": [{"a": 1}, (8, 4), None],
    },
    index=[5, 6, 7],
)


@pytest.mark.parametrize(
    ("expression", "depths"),
    [
        ("state = 'complete' and depth >= 1", [1]),
        ("depth >= 2", [2, 3]),
        ("DEPTH == 2 -- the second", [2]),
        ('"order" < 3', [3]),
        ('"order" is null', [2]),
        ('"training.batch_size" between 64 and 128', [2, 3]),
        ('"say ""so""" = 2', [2]),
        ("nesterov", [1]),
        ("nesterov = false", [3]),
        ("widths = '[8, 4]'", [2]),
        ("options = '[8, 4]' or options = '{\"a\": 1}'", [1, 2]),
        ("state like 'p%' or state in ('failed')", [2, 3]),
        ("depth > (select avg(depth) from trials)", [3]),
        ("state = 'it''s'", []),
        ("""state = '"depth"'""", []),
    ],
)
def test_an_expression_keeps_the_rows_for_which_it_holds(expression: str, depths: list[int]) -> None:
    found = where(FRAME, expression)
    assert found["depth"].tolist() == depths
    assert list(found.columns) == list(FRAME.columns)
    assert list(found.index) == list(range(len(depths)))


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("dept > 1", "--where dept > 1: there is no column dept; did you mean depth?"),
        ('"dept" > 1', "there is no column dept; did you mean depth?"),
        ('state = "complete"', "text goes in single quotes: 'complete'"),
        ("depth >", "syntax error; write SQL such as state = 'complete' and depth >= 2"),
        ("order > 1", 'near "order": syntax error; write SQL'),
        ("max(depth) = 2", "misuse of aggregate"),
        ("1) ; drop table trials; --", "one statement at a time"),
        ("load_extension('x')", "not authorized"),
        ("depth in (select 1 from pragma_database_list)", "not authorized"),
        ("", "syntax error"),
    ],
)
def test_a_wrong_expression_gets_a_message(expression: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        where(FRAME, expression)
    assert message in str(caught.value)


def test_columns_that_sql_cannot_tell_apart() -> None:
    with pytest.raises(UserError, match="--where cannot use these columns: duplicate column name"):
        where(pd.DataFrame({"units": [1], "Units": [2]}), "units = 1")


def test_an_empty_table_stays_empty() -> None:
    assert len(where(FRAME.iloc[:0], "depth = 1")) == 0
