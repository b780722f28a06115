"""What a model would cost."""

from hpo.data import open_prepared
from hpo.training.cost import measure


def test_size_memory_and_time_of_an_epoch(job_of):
    job = job_of()
    cost = measure(job, open_prepared(job.data))
    assert cost.parameters == 64 * 8 + 8 + 8 * 10 + 10
    # Weights, gradients and two moments; the outputs of flatten and two dense layers for a batch of 32.
    assert cost.memory == 4 * (4 * cost.parameters + 32 * (64 + 8 + 10))
    assert cost.epoch_seconds > 0


def test_pipelines_are_measured_too(job_of, prepared):
    job = job_of(data=prepared(name="own_code:pipelines", scaling="standard"))
    assert measure(job, open_prepared(job.data)).parameters == 4 * 8 + 8 + 8 * 2 + 2
    data = prepared(function="own_code:pipelines_without_targets", task="reconstruction", scaling="standard")
    job = job_of("own_code:copying", data=data, params={}, objective="val_loss")
    assert measure(job, open_prepared(job.data)).parameters == 4 * 4 + 4
