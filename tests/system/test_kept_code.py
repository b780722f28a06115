import hashlib
import os
import pickle

import pytest

from hpo.errors import ModelError
from hpo.system.kept_code import load_kept


class Trap:
    """Runs code when it is loaded."""

    def __reduce__(self):
        return os.mkdir, ("sprung",)


def test_only_what_was_kept_is_loaded(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    good = pickle.dumps({"object": [1], "cells": {}, "before": None})
    (tmp_path / "kept.pkl").write_bytes(good)
    digest = hashlib.sha256(good).hexdigest()
    first, second = (load_kept(tmp_path, "kept.pkl", digest) for _ in range(2))
    assert first == second == [1]
    assert first is not second
    (tmp_path / "kept.pkl").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ModelError, match=r"kept\.pkl: is not what the study kept, and is not loaded"):
        load_kept(tmp_path, "kept.pkl", digest)
    assert not (tmp_path / "sprung").exists()
    with pytest.raises(ModelError, match="cannot be read"):
        load_kept(tmp_path, "gone.pkl", digest)


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_not_loaded(tmp_path) -> None:
    content = pickle.dumps({"object": 1, "cells": {}, "before": None})
    (tmp_path / "kept.pkl").write_bytes(content)
    os.chown(tmp_path / "kept.pkl", 12345, -1)
    with pytest.raises(ModelError, match="belongs to another user"):
        load_kept(tmp_path, "kept.pkl", hashlib.sha256(content).hexdigest())
