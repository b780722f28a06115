"""What the tests of models share."""

import pytest
import tiny_info


@pytest.fixture
def info_of():
    return tiny_info.info_of
