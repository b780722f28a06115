import pytest

import hpo
from hpo.config.yaml_file import read_value
from hpo.errors import FileMistakes, UserError
from hpo.plan.plan import load_plan
from hpo.python.space import space_of

SPACE = hpo.Space(
    {"schedule.warmup_epochs": hpo.Float(0, 2, step=0.5)},
    depth=hpo.Int(1, 4),
    width=hpo.Int(32, 512, log=True),
    activation=hpo.Choice("relu", "tanh"),
    optimizer=hpo.Choice(["adam", "sgd"]),
    momentum=hpo.Float(0, 0.99, when={"optimizer": "sgd"}),
    nesterov=hpo.Bool(when={"optimizer": ("sgd",)}),
    batch_size=64,
)


def test_a_space_is_what_a_file_would_hold(tmp_path) -> None:
    written = SPACE.as_mapping("mlp")
    assert written["parameters"]["width"] == {"type": "int", "low": 32, "high": 512, "log": True}
    assert written["parameters"]["optimizer"] == {"type": "categorical", "choices": ["adam", "sgd"]}
    assert written["parameters"]["nesterov"] == {"type": "boolean", "when": {"optimizer": ["sgd"]}}
    assert written["parameters"]["batch_size"] == 64
    text = SPACE.to_yaml(tmp_path / "space.yaml")
    assert (tmp_path / "space.yaml").read_text() == text
    assert read_value("space", text) == written
    plan = load_plan(
        {"name": "s", "dataset": "iris", "objective": "val_loss", "search_space": str(tmp_path / "space.yaml")}
    )
    assert list(plan.space.parameters) == list(written["parameters"])


def test_it_is_shown_as_it_was_written() -> None:
    assert repr(hpo.Space(a=hpo.Int(1, 4, log=True), b=hpo.Choice("x", "y"))) == (
        "Space(a=Int(1, 4, log=True), b=Choice('x', 'y'))"
    )


def test_all_mistakes_of_a_space_are_reported_at_once() -> None:
    wrong = hpo.Space(depth=hpo.Int(4, 1), rate=hpo.Float(0, 1, log=True), width=hpo.Int(1, 2, lgo=True))
    with pytest.raises(FileMistakes) as raised:
        load_plan({"name": "s", "dataset": "iris", "objective": "val_loss", "search_space": space_of(wrong, "a:b")})
    assert [one.key for one in raised.value.mistakes] == [
        f"search_space.parameters.{name}" for name in ("depth", "rate", "width.lgo")
    ]
    with pytest.raises(UserError, match="model: is required"):
        space_of(SPACE, None)
