"""`hpo explain`: every key of both files has a meaning, a default and an example that holds."""

import os
import sys
from pathlib import Path
from subprocess import run

import pytest
from jsonschema import Draft202012Validator
from tiny import ROOT
from typer.testing import CliRunner

from hpo.cli.commands import app
from hpo.cli.explain_output import default_of, explanation, facts, overview, type_of
from hpo.errors import NotFound
from hpo.models import KNOWN, described
from hpo.project.json_schema import json_schema
from hpo.project.keys import complete, find, walk

KEYS = [key.path for key in walk(options=True)]
SCHEMA = Draft202012Validator(json_schema("experiment"))
# Names of the user's, or values that have keys of their own: nothing is set by them alone.
CHOICES = ("study.schedule.", "study.sampler.", "study.pruner.")
LEADING = (*KNOWN, "dataset.extra_tests.NAME", "parameters.", *CHOICES, "search_space.")


def said(path, width=80):
    return "\n".join(explanation(find(path), width))


def test_keys_of_both_files_of_models_and_of_optuna_are_explained():
    definitions = json_schema("experiment")["$defs"]
    for section, spec in (("training", "TrainingSpec"), ("study", "StudySpec")):
        assert {f"{section}.{key}" for key in definitions[spec]["properties"]} <= set(KEYS)
    assert {f"{model}.{key}" for model in KNOWN for key in described(model)[0].model_fields} <= set(KEYS)
    assert {
        "dataset.validation.folds", "dataset.extra_tests.NAME.shift", "dataset.augmentation.fill", "tracking.uri",
        "parameters.int.low", "parameters.float.log", "parameters.categorical.choices", "parameters.int.when.NAME.high",
        "study.sampler.tpe.n_startup_trials", "study.pruner.patient.wrapped_pruner",
        "study.pruner.successive_halving.min_resource", "study.schedule.asha.min_resource", "objective.direction",
    } <= set(KEYS)  # fmt: skip


@pytest.mark.parametrize("path", [path for path in KEYS if "search_space." not in path])
def test_each_key_has_a_meaning_a_default_and_an_example_that_holds(path):
    key = find(path)
    assert key.text.meaning
    shown = said(path)
    assert max(map(len, shown.replace(f"{key.example}", "").splitlines())) <= 110
    if not key.schema.get("examples"):
        assert path.startswith(LEADING) or ".NAME" in path, path
        assert key.keys or path.endswith((".grid", ".random", ".none", ".one_pass"))
        return
    kinds = type_of(key.schema)
    assert (
        ("number" not in kinds and "list of whole" not in kinds)
        or key.text.unit
        or "seed" in path
        or path.count(".") > 2
        or path.startswith("parameters")
    ), f"{path} says no unit"
    assert default_of(key) is not None
    example = dict(key.example)
    if {"model", "parameters"} & set(example):
        example = {"search_space": {"model": "mlp", "parameters": {}, **example}}
    base = {"name": "a", "dataset": "digits", "search_space": "mlp", "objective": "val_loss"}
    wrong = [error.message for error in SCHEMA.iter_errors({**base, **example})]
    assert wrong == [], example


def test_a_key_prints_meaning_unit_default_and_example():
    assert said("training.schedule.decay_epochs") == (
        "training.schedule.decay_epochs\n"
        "  For exponential and step: how long until the rate is multiplied once more. For\n"
        "  cosine and polynomial: how long until it reaches `final`.\n"
        "\n"
        "  type:     number above 0\n"
        "  unit:     epochs\n"
        "  default:  1 for exponential, all epochs, or those of the phase, for cosine and\n"
        "            polynomial; step needs it\n"
        "  example:  training: {schedule: {decay_epochs: 5}}"
    )


def test_an_option_of_a_sampler_is_explained_by_optuna():
    shown = said("study.sampler.tpe.n_startup_trials")
    assert "random sampling is used" in shown
    assert "default:  10" in shown
    assert "example:  study: {sampler: {name: tpe, n_startup_trials: 10}}" in shown


def test_an_option_of_a_schedule_is_explained_with_its_unit():
    assert said("study.schedule.gp_asha.n_startup_trials") == (
        "study.schedule.gp_asha.n_startup_trials\n"
        "  How many trials begin with random values before the model proposes them.\n"
        "\n"
        "  type:     whole number\n"
        "  unit:     trials\n"
        "  default:  8\n"
        "  example:  study: {schedule: {name: gp_asha, n_startup_trials: 8}}"
    )


def test_a_section_lists_its_keys_a_line_each():
    lines = said("training").splitlines()
    for key in json_schema("experiment")["$defs"]["TrainingSpec"]["properties"]:
        assert sum(line.startswith(f"    {key} ") for line in lines) == 1
    assert max(map(len, lines[lines.index("  keys:") :])) <= 80


def test_all_sections_are_listed():
    shown = "\n".join(overview(80))
    for name in ("dataset", "training", "study", "parameters", "mlp", "cnn"):
        assert f"\n  {name} " in shown


def test_one_layer_and_names_of_the_users_stand_for_all():
    assert find("mlp.width_2").path == "mlp.width"
    assert find("dataset.extra_tests.shifted.shift").path == "dataset.extra_tests.NAME.shift"


def test_the_end_of_a_path_is_enough_where_one_key_alone_ends_so():
    assert find("enqueue").path == "study.enqueue"
    assert find("early_stopping.patience").path == "training.early_stopping.patience"
    with pytest.raises(NotFound, match=r"several keys end with this: .*early_stopping\.patience, .*plateau\.patience"):
        find("patience")


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("training.schedul", r"did you mean training\.schedule\?"),
        ("trainig", r"did you mean training\?"),
        ("training.early_stopping.patient", r"did you mean training\.early_stopping\.patience\?"),
        ("study.sampler.tpe.n_startup_trial", r"did you mean study\.sampler\.tpe\.n_startup_trials\?"),
        ("batchsize", r"did you mean training\.batch_size\?"),
        ("mlp.witdh", r"did you mean mlp\.width\?"),
        ("training.epochs.what", "."),
        ("qqqqqq", "hpo explain lists the sections"),
    ],
)
def test_an_unknown_key_gets_the_nearest_name(path, hint):
    with pytest.raises(NotFound, match=f"unknown key; .*{hint}"):
        find(path)


def test_keys_complete_a_level_at_a_time():
    assert complete("training.sch") == ["training.schedule"]
    assert "study" in complete("")
    assert "study.sampler.tpe.multivariate" in complete("study.sampler.tpe.m")
    assert complete("what.is") == []


@pytest.mark.parametrize(
    "arguments", [[], ["training.schedule"], ["mlp.width"], ["study.pruner"], ["training", "--json"]]
)
def test_it_answers_without_tensorflow_mlflow_and_optuna(arguments):
    code = (
        "import sys\nfrom hpo.cli.main import command\n"
        f"sys.argv = ['hpo', 'explain', *{arguments!r}]\n"
        "assert command() == 0\n"
        "assert not {'tensorflow', 'keras', 'mlflow', 'optuna'} & set(sys.modules)\n"
    )
    told = run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout


def test_the_command():
    shown = CliRunner().invoke(app, ["explain", "training.schedule.power"])
    assert (shown.exit_code, shown.stdout) == (0, said("training.schedule.power", 200) + "\n")
    assert facts(find("training.schedule.power"))["default"] == "1, a straight line"


def test_the_shell_completes_keys():
    words = {"_HPO_COMPLETE": "complete_bash", "COMP_WORDS": "hpo explain training.sch", "COMP_CWORD": "2"}
    told = run(
        [Path(sys.executable).parent / "hpo"], cwd=ROOT, env={**os.environ, **words}, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert told.stdout.split() == ["training.schedule"]
