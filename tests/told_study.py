"""A study of five trials, the two best confirmed over two seeds; nothing was trained, and no MLflow has it."""

from pathlib import Path
from typing import Any

from studies import INFO, NoData, run_plan
from tiny import tiny

from hpo.confirm.confirm import chosen_finalists
from hpo.confirm.confirming import Confirming
from hpo.confirm.owed_runs import Wanted
from hpo.engines.scripted import ScriptedEngine
from hpo.loop.budget import Budget
from hpo.loop.driving import drive
from hpo.loop.jobs import Prepared, variants_of
from hpo.plan.plan import load_plan
from hpo.storage.lock import sole_coordinator
from hpo.study.read import read_study
from hpo.training.messages import Failed, Job

EXPERIMENT = tiny(
    name="told", training={"epochs": 3}, study={"trials": 5, "sampler": "random", "pruner": "none", "retries": 0}
)


def script(job: Job) -> Any:
    if job.trial == 1:
        return [0.3, Failed(job.trial, "error", "ValueError: no", "Traceback ...")]
    return [0.1 + 0.001 * (job.seed % 7), 0.2 + 0.001 * (job.seed % 7)]


def tell(home: Path) -> None:
    """Runs and confirms the study `told` in a home folder."""
    plan = load_plan(EXPERIMENT, home=home)
    run_plan(plan, ScriptedEngine(script), variants_of(plan).base.info)
    view = read_study(plan.storage, "told")

    with sole_coordinator(plan.storage, "told"):
        finalists = chosen_finalists(view, 2)
        record = Confirming(plan.storage, "told", Wanted(finalists, 2, 0))
        engine = ScriptedEngine(lambda job: [0.1, 0.2 + 0.001 * (job.seed % 5)])
        drive(record, Prepared(plan, engine, INFO, NoData()), Budget(None, None, None, None), ())
        found = record.confirmation(view.trials, None)
        assert found is not None
        record.keep(found)
