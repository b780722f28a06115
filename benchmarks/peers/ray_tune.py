"""Peer: Ray Tune's OptunaSearch and ASHA, two trials of one CPU each.

After Ray's "Running Tune experiments with Optuna" and "Tune's scheduler: ASHA".
"""

from typing import Any

import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from benchmarks import job
from benchmarks.peers.arguments import Arguments, parse
from benchmarks.peers.jobs import Parameter


def _train(params: dict[str, Any], data: job.Data, arguments: Arguments) -> None:
    import keras

    number = tune.get_context().get_trial_id()
    report = keras.callbacks.LambdaCallback(on_epoch_end=lambda _, logs: tune.report(dict(logs)))
    rows = job.write_rows(arguments.rows, number, params, arguments.job.samples)
    arguments.job.build(params).fit(
        data.x_train,
        data.y_train,
        batch_size=params["batch_size"],
        epochs=job.EPOCHS,
        validation_data=(data.x_val, data.y_val),
        callbacks=[rows, job.early_stopping(), report],
        verbose=0,
    )


def _range(spec: Parameter) -> Any:
    log = "log" if spec.get("log") else ""
    match spec["type"]:
        case "int":
            # Ray's upper ends are excluded.
            return getattr(tune, f"{log}randint")(spec["low"], spec["high"] + 1)
        case "float":
            return getattr(tune, f"{log}uniform")(spec["low"], spec["high"])
    return tune.choice(spec.get("choices", [False, True]))


def main(arguments: Arguments) -> None:
    ray.init(num_cpus=2, include_dashboard=False)
    space = {name: _range(spec) for name, spec in arguments.job.space.items()}
    train = tune.with_parameters(_train, data=arguments.job.load(), arguments=arguments)
    tuner = tune.Tuner(
        tune.with_resources(train, {"cpu": 1}),
        param_space=space,
        tune_config=tune.TuneConfig(
            metric=job.OBJECTIVE,
            mode="max",
            search_alg=OptunaSearch(seed=arguments.seed),
            scheduler=ASHAScheduler(max_t=job.EPOCHS),
            num_samples=-1,
            max_concurrent_trials=2,
        ),
        run_config=tune.RunConfig(storage_path=str(arguments.home), verbose=0),
    )
    tuner.fit()


if __name__ == "__main__":
    main(parse())
