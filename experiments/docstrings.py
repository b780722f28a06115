"""Real texts for an experiment: the docstrings of installed libraries, and from which one each is."""

import ast
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

LIBRARIES = {"keras": "keras/src", "optuna": "optuna", "pandas": "pandas/core", "sklearn": "sklearn"}
_WORDS = re.compile(r"\b(keras|tensorflow|tf|optuna|pandas|pd|dataframe|series|scikit.?learn|sklearn|numpy|np)\b", re.I)


def load() -> dict[str, Any]:
    """The docstrings of more than ten words in the modules of four libraries, without the libraries' names.

    Their numbers and words are those of the versions that are installed. A fifth of the modules of each library, not of
    its docstrings, is the test part, since those of one module are much alike.
    """
    parts: dict[str, tuple[list[str], list[str]]] = {"train": ([], []), "test": ([], [])}
    seen: set[str] = set()
    for library, folder in LIBRARIES.items():
        found = find_spec(library)
        assert found is not None
        assert found.origin is not None
        root = Path(found.origin).parent.parent / folder
        for number, path in enumerate(sorted(root.rglob("*.py"))):
            if "tests" in path.parts or path.name.endswith("_test.py"):
                continue
            texts, labels = parts["test" if number % 5 == 0 else "train"]
            for text in _docstrings(path):
                if text not in seen:
                    seen.add(text)
                    texts.append(text)
                    labels.append(library)
    return {part: (np.array(texts, dtype=object), np.array(labels)) for part, (texts, labels) in parts.items()}


def _docstrings(path: Path) -> list[str]:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    told = [ast.get_docstring(node) for node in nodes if isinstance(node, kinds)]
    texts = [_WORDS.sub("LIBRARY", text) for text in told if text]
    return [text for text in texts if len(text.split()) > 10]
