"""An exported trial as a plain Keras script, which needs no hpo and reads as if written by hand."""

import textwrap
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hpo.quiet import without_greetings
from hpo.script.fragments import Script
from hpo.script.layout import WIDTH, imports, literal, statement
from hpo.script.tolerance import tolerance

if TYPE_CHECKING:
    from hpo.data.dataset import Dataset
    from hpo.exported import Exported
    from hpo.training.messages import Job
    from hpo.training.recipe import Recipe


def script_of(exported: "Exported") -> str:
    """The script's text. Reads the data and builds the model once, to say what they are.

    Raises:
        DataError: the data can no longer be read.
        ModelError: the model can no longer be built.
    """
    from hpo.data import load

    plan = exported.plan
    dataset = load(plan.experiment.dataset, plan.folders)
    with without_greetings():
        from hpo.script.data import add_data
        from hpo.script.model import add_model
        from hpo.training.recipe import recipe

        job = _job(exported, dataset)
        made = recipe(job, dataset)
    script = Script(imports={"import keras"})
    script.constants.append(f"SEED = {exported.seed}")
    script.constants.append(f"EPOCHS = {job.training.epochs}")
    script.constants.append(f"BATCH_SIZE = {job.training.batch_size}")
    script.main.append("    keras.utils.set_random_seed(SEED)")
    add_data(script, plan.experiment.dataset, dataset, plan.folders, made.labels)
    add_model(script, made, job.params, dataset.info, plan.folders)
    _add_fit(script, job, made, dataset)
    _add_verdict(script, exported, dataset)
    return _text(script, exported)


def _job(exported: "Exported", dataset: "Dataset") -> "Job":
    from hpo.jobs import make_job
    from hpo.models import discover

    plan = exported.plan
    declared = discover(plan.space.model, dataset.info, plan.folders)
    job = make_job(plan, exported.parameters, exported.seed, Path(), declared)
    if exported.limit is None:
        return job
    return replace(job, training=job.training.model_copy(update={"epochs": exported.limit}))


def _add_fit(script: Script, job: "Job", made: "Recipe", dataset: "Dataset") -> None:
    stopping, objective = job.training.early_stopping, job.objective
    patience = stopping.patience if stopping else "EPOCHS"
    items = [
        f"monitor={literal(objective.metric)}",
        f'mode="{"max" if objective.sign > 0 else "min"}"',
        f"patience={patience}",
        *([f"min_delta={stopping.min_delta}"] if stopping and stopping.min_delta else []),
        "restore_best_weights=True",
    ]
    script.main.append(statement("stopping = keras.callbacks.EarlyStopping(", items, ")"))
    common = ["epochs=EPOCHS", "callbacks=[stopping]", "verbose=2"]
    if dataset.stream is not None:
        fed = ["training", "shuffle=False", "validation_data=validation"]
    else:
        fed = ["x_train", "y_train", "validation_data=(x_val, y_val)"]
        # A HyperModel's own fit may set a batch size of its own.
        fed += [] if made.own is not None and made.own.fits else ["batch_size=BATCH_SIZE"]
    own = made.own is not None and made.own.fits
    head = "history = HYPERMODEL.fit(" if own else "history = model.fit("
    script.main.append(statement(head, [*(["HP", "model"] if own else []), *fed, *common], ")"))


def _add_verdict(script: Script, exported: "Exported", dataset: "Dataset") -> None:
    objective = exported.plan.experiment.objective
    allowed = tolerance(exported, dataset.info)
    script.constants += textwrap.wrap(allowed.why, WIDTH, initial_indent="# ", subsequent_indent="# ")
    script.constants.append(f"LOWEST, HIGHEST = {allowed.low:.6g}, {allowed.high:.6g}")
    best = "max" if objective.sign > 0 else "min"
    metric = objective.metric
    tested = "test" if dataset.stream is not None else "x_test, y_test"
    script.main += [
        f'    score = {best}(history.history["{metric}"])',
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
