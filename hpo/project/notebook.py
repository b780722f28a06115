"""The notebook of a new project: it runs the study, and shows its trials in a table and the best one."""

import json
from typing import Any

_CELLS = (
    (
        "markdown",
        "# A study\n\nThe study of `{experiment}`. After a stop, run the cells again: it continues where it stopped.",
    ),
    (
        "code",
        'import hpo\n\nresult = hpo.run("{experiment}")\nresult.best.params, result.best.value, result.best.test',
    ),
    ("markdown", "All trials, the best first. Test scores are shown, but not used for ranking."),
    ("code", 'trials = hpo.compare("{name}")\ntrials.head(10)'),
    ("markdown", "The validation score of each trial, in the order of the trials' numbers."),
    (
        "code",
        "import plotly.express as px\n\n"
        'scored = trials.dropna(subset=["{objective}"]).sort_values("trial")\n'
        'px.scatter(scored, x="trial", y="{objective}", color="state", hover_data=list(scored.columns))',
    ),
    (
        "markdown",
        "One run's score is partly luck. `hpo.confirm` trains the best trials again with new random seeds. "
        "It reports which one to use, and how sure that is.",
    ),
    ("code", 'hpo.confirm("{name}", finalists=3, seeds=3).confirmation.chosen'),
)


def notebook(experiment: str, name: str, objective: str) -> str:
    """A Jupyter notebook (nbformat 4.5) as JSON text."""
    cells: list[dict[str, Any]] = [
        {
            "cell_type": kind,
            "id": f"cell-{number}",
            "metadata": {},
            "source": text.format(experiment=experiment, name=name, objective=objective).splitlines(keepends=True),
            **({"execution_count": None, "outputs": []} if kind == "code" else {}),
        }
        for number, (kind, text) in enumerate(_CELLS)
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    content = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(content, indent=1) + "\n"
