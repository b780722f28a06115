import io

import pytest

from hpo.text.console import SafeConsole, print_commands

COMMAND = "hpo export fashion-mnist-mlp --to best.yaml --model best.keras"


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (120, f"  {COMMAND}   # save the best and its model\n"),
        (80, f"  # save the best and its model\n  {COMMAND}\n"),
        (30, f"  # save the best and its model\n  {COMMAND}\n"),
    ],
)
def test_purpose_of_a_command_stands_above_it_where_the_line_is_too_short(width: int, expected: str) -> None:
    written = io.StringIO()
    print_commands(SafeConsole(file=written, width=width, markup=False), (COMMAND, "save the best and its model"))
    assert written.getvalue() == expected
