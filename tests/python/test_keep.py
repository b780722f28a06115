import pytest

from hpo.errors import UserError
from hpo.python.keep import Given, keep_code, leaving_nothing


def test_a_refused_call_leaves_the_module_of_the_same_code_as_it_was(tmp_path) -> None:
    def kept(number):
        # Only what the pickle holds differs, as where the function stands in its file.
        scope = {"__name__": "__main__"}
        exec(compile("\n" * number + "def build(hp): return 1", "of_keep", "exec"), scope)
        return keep_code(tmp_path, "study", Given({"build": scope["build"]}, {}))[0]

    module = kept(1)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def refused():
        assert kept(2) == module
        assert len(list(tmp_path.glob("*.pkl"))) == 2
        raise UserError("refused")

    with pytest.raises(UserError), leaving_nothing(tmp_path):
        refused()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
