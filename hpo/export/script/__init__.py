"""An exported trial as a plain Keras script, which needs no hpo and reads as if written by hand."""

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from hpo.errors import UserError
from hpo.export.script.fragments import Script
from hpo.export.script.layout import WIDTH, imports
from hpo.export.script.tolerance import tolerance
from hpo.system.tensorflow_import import without_greetings

if TYPE_CHECKING:
    from hpo.data.dataset import Dataset
    from hpo.plan.exported_file import Exported
    from hpo.training.messages import Job


def script_of(exported: "Exported") -> str:
    """The script's text. Reads the data and builds the model once, to say what they are.

    Raises:
        DataError: the data can no longer be read.
        UserError: how it was trained makes no plain script.
        ModelError: the model can no longer be built.
    """
    from hpo.loop.jobs import sections, variants_of

    plan = exported.plan
    _, spec = sections(plan, exported.parameters)
    if spec.validation.folds is not None:
        raise UserError(
            "k-fold cross-validation, a model for each fold, makes no plain script; --to best.yaml exports a file that "
            "hpo train takes"
        )
    dataset = variants_of(plan).dataset(spec)
    with without_greetings():
        from hpo.export.script.data import add_data
        from hpo.export.script.model import add_model
        from hpo.export.script.recipe import recipe
        from hpo.export.script.training import add_fit

        job = _job(exported, dataset)
        made = recipe(job, dataset)
    script = Script(imports={"import keras"})
    script.constants.append(f"SEED = {exported.seed}")
    script.constants.append(f"EPOCHS = {exported.limit or job.training.epochs}")
    script.constants.append(f"BATCH_SIZE = {job.training.batch_size}")
    script.main.append("    keras.utils.set_random_seed(SEED)")
    add_data(script, spec, dataset, plan.folders, made.labels)
    add_model(script, made, job.params, dataset.info, plan.folders)
    add_fit(script, job, made, dataset, plan.folders)
    _add_verdict(script, exported, dataset)
    return _text(script, exported)


def _job(exported: "Exported", dataset: "Dataset") -> "Job":
    from hpo.loop.jobs import make_job
    from hpo.models import discover

    plan = exported.plan
    declared = discover(plan.space.model, dataset.info, plan.folders)
    return make_job(plan, exported.parameters, exported.seed, lambda _: Path(), declared)


def _add_verdict(script: Script, exported: "Exported", dataset: "Dataset") -> None:
    objective = exported.plan.experiment.objective
    allowed = tolerance(exported, dataset.info)
    script.constants += textwrap.wrap(allowed.why, WIDTH, initial_indent="# ", subsequent_indent="# ")
    script.constants.append(f"LOWEST, HIGHEST = {allowed.low:.6g}, {allowed.high:.6g}")
    metric = objective.metric
    tested = "test" if dataset.stream is not None else "x_test, y_test"
    script.main += [
        f'    score = {objective.mode}(history.history["{metric}"])',
        f"    test = model.evaluate({tested}, verbose=0, return_dict=True)",
        f'    print(f"{metric} {{score:.4f}}; on the test part: {{test}}")',
        '    assert LOWEST <= score <= HIGHEST, f"not from {LOWEST} to {HIGHEST}"',
    ]


def _text(script: Script, exported: "Exported") -> str:
    metric = exported.plan.experiment.objective.metric
    packages = [f"{name} {exported.versions[name]}" for name in ("keras", "tensorflow") if name in exported.versions]
    made_with = f", with {' and '.join(packages)}" if packages else ""
    about = f"In the study it had {metric} {exported.value:.4f}{made_with}."
    if "BATCH_SIZE" not in "\n".join([*script.main, *script.functions]):
        script.constants = [line for line in script.constants if not line.startswith("BATCH_SIZE")]
    parts = [
        f'"""Trains trial {exported.trial} of study {exported.study} again.\n\n'
        + "\n".join(textwrap.wrap(about, WIDTH))
        + '\n"""',
        imports(script.imports),
    ]
    if script.own_imports:
        parts[-1] += "\n\n" + "\n".join([*script.paths, *([""] if script.paths else []), imports(script.own_imports)])
    body = ["\n".join(script.constants), *script.functions, "\n".join(["def main():", *script.main])]
    text = "\n\n".join([*parts, body[0]]) + "\n\n\n" + "\n\n\n".join(body[1:])
    return text + '\n\n\nif __name__ == "__main__":\n    main()\n'
