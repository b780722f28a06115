"""The contract, kept by the engines that need no cluster; `test_ray` has the others."""

import pytest
from engine_contract import *  # noqa: F403

from hpo.config.engines import ENGINES
from hpo.config.experiment import EngineSpec
from hpo.engines.table import make_engine


@pytest.fixture(scope="module", params=[name for name, engine in ENGINES.items() if engine.extra is None])
def make(request, tmp_path_factory):
    spec = EngineSpec(name=request.param, workers=1)
    return lambda: make_engine(spec, 1, tmp_path_factory.mktemp("log") / "workers.log")
