"""What is impossible whatever is drawn is a mistake of the files; what only some draw fails their trials."""

import pytest
from tiny import Command, tiny

import hpo
from hpo.errors import FileMistakes

IMAGES = {"name": "digits", "limit": 60}

TURN = {"type": "float", "low": 0.1, "high": 0.2, "sets": "dataset.augmentation.rotation"}


def space(**parameters):
    return {"model": "cnn", "parameters": {"dense": 4, **parameters}}


def test_a_kernel_larger_than_its_input_names_its_line_and_nothing_is_created(command: Command, tmp_path):
    (tmp_path / "x.yaml").write_text(
        "name: x\ndataset: {name: digits, limit: 60}\nobjective: val_loss\nsearch_space:\n  model: cnn\n  parameters:\n"
        "    blocks: 1\n    padding: valid\n    kernel: {type: int, low: 9, high: 12}\n",
        encoding="utf-8",
    )
    told = command("run", "x.yaml")
    assert told.returncode == 2
    assert (
        "x.yaml:9: search_space.parameters.kernel: block 1: a kernel of 9 does not fit its input of 8 x 8"
        in told.stderr
    )
    assert "Traceback" not in told.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["x.yaml"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"search_space": space(filters=0)}, "parameters.filters: .*at least 1, got 0"),
        ({"search_space": space(activation="reluu")}, "parameters.activation: .*'reluu'; did you mean relu"),
        ({"dataset": "iris", "search_space": {"model": "mlp", "parameters": {"turn": TURN}}}, "rotation"),
    ],
)
def test_a_setting_that_no_configuration_allows_is_a_mistake(tmp_path, changes, message):
    experiment = tiny(dataset=IMAGES, engine="serial") | changes
    with pytest.raises(FileMistakes, match=message):
        hpo.run(experiment, home=tmp_path / "home")
    assert not (tmp_path / "home").exists()


def test_impossible_configurations_fail_at_once_if_others_are_possible(tmp_path):
    kernels = {"type": "categorical", "choices": [3, 11]}
    experiment = tiny(
        dataset=IMAGES,
        search_space=space(blocks=1, filters=2, padding="valid", kernel=kernels),
        study={"sampler": "grid"},
        training={"epochs": 1},
        engine="serial",
    )
    done, invalid = hpo.run(experiment, home=tmp_path).trials
    assert (done.state, invalid.reason) == ("complete", "invalid")
    assert "a kernel of 11 does not fit its input of 8 x 8" in invalid.failure.message
    # It never began to train.
    assert (invalid.epochs, dict(invalid.curves), invalid.attempt) == (0, {}, 0)
