"""The help of each command: whole sentences, and a default for each option that has one."""

import re

import pytest
import typer
from typer.testing import CliRunner

from hpo.cli.commands import app

GROUP = typer.main.get_command(app)
COMMANDS = dict(GROUP.commands)  # type: ignore[attr-defined]
# Leaving these out leaves something out, which has no value to name.
WITHOUT_DEFAULT = {
    "init --target", "init --model", "confirm --trials", "compare --where", "compare --top", "compare --csv",
    "export --to", "export --model", "export --register", "train --model",
}  # fmt: skip


def help_of(*command: str) -> str:
    shown = CliRunner().invoke(app, [*command, "-h"], env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"})
    assert shown.exit_code == 0
    return shown.stdout


def test_the_list_of_commands_cuts_nothing():
    shown = help_of()
    assert "..." not in shown.partition("Commands:")[2]
    assert all(re.search(rf"^  {name} +[A-Z].*\.$", shown, flags=re.M) for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_option_says_what_it_does_and_its_default(name):
    said = help_of(name)
    for option in COMMANDS[name].params:
        if option.name == "help":
            continue
        assert option.help, option.name
        plain = option.default in (None, ()) and not option.required and not getattr(option, "multiple", False)
        if plain and f"{name} {option.opts[0]}" not in WITHOUT_DEFAULT and option.opts[0] != "experiment":
            assert "[default: " in option.help, f"{name}: {option.opts[0]} does not say what holds without it"
    # A default stands once: by click, or in words where it is worked out.
    assert len(re.findall(r"\[default", said)) <= len(COMMANDS[name].params)


def test_run_says_where_results_go():
    assert "Results go to ./mlruns" in " ".join(help_of("run").split())
