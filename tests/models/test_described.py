"""What the schemas and `hpo explain` say of the parameters of its models is what their code does."""

from dataclasses import replace

import pytest

from hpo.models import KNOWN, InvalidModel, application, cnn, conv1d, described, keys, mlp, rnn, text, unknown_keys

MODULES = {"mlp": mlp, "cnn": cnn, "rnn": rnn, "conv1d": conv1d, "text": text, "application": application}
PLANS = {name: module._plan for name, module in MODULES.items()}
FIELDS = [(model, key) for model in KNOWN for key in described(model)[0].model_fields]


@pytest.fixture
def info_of(info_of):
    """Images, or texts for the model that takes them."""

    def info(model):
        if model == "text":
            return replace(info_of((), classes=3), input_type="str")
        return info_of((32, 32, 1), classes=3)

    return info


@pytest.fixture(params=KNOWN)
def model(request):
    return request.param


@pytest.mark.parametrize(("model", "key"), FIELDS)
def test_a_default_that_is_written_out_changes_nothing(model, key, info_of):
    info = info_of(model)
    default = described(model)[0].model_fields[key].default
    if default is not None:
        others = {"activation": "leaky_relu"} if key == "leaky_slope" else {}
        written = repr(PLANS[model]({**others, key: default}, info)).replace("slope=0.2", "slope=None")
        assert written == repr(PLANS[model](others, info))


@pytest.mark.parametrize(("model", "key"), FIELDS)
def test_impossible_values_are_refused(model, key, info_of):
    with pytest.raises(InvalidModel, match=key.removeprefix("block_")):
        PLANS[model]({"activation": "leaky_relu", key: object()}, info_of(model))


def test_the_keys_of_one_layer_or_block_have_a_number(model):
    numbered = next(key for key in keys(model) if key.endswith("_N"))
    assert unknown_keys(model, [numbered.replace("_N", "_12")]) == {}
    assert set(unknown_keys(model, [numbered, numbered.replace("_N", "_0")])) == {
        numbered,
        numbered.replace("_N", "_0"),
    }
