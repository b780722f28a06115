"""What confirming a study came to: its finalists over fresh seeds, which of them was chosen, and the noise floor."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, strict=False, extra="forbid")


class Estimate(_Record):
    """A mean over at least two seeds with its uncertainty."""

    mean: float
    deviation: float
    """Standard deviation from seed to seed, with n - 1 in the denominator."""
    low: float
    high: float
    """The 95% confidence interval of the mean, by Student's t; without width where all seeds gave the same."""
    seeds: int
    """How many values the mean is of."""


class Finalist(_Record):
    """One configuration that was trained again over seeds."""

    trial: int
    """Number of the trial in the study."""
    searched: float
    """The validation score for which it became a finalist: of one run, and of the luckiest."""
    values: Mapping[int, float]
    """Seed of the confirming run -> the objective at its best epoch; failed runs are missing."""
    failures: Mapping[int, str] = {}
    """Seed of a confirming run that failed for good -> why: nonfinite, error, timeout, ..."""
    validation: Estimate | None
    """Of `values`; None where fewer than two runs have a score."""
    p_value: float | None
    """Of its being no worse than the leader, corrected for multiple comparison; None for the leader itself and where
    too few runs can be compared."""
    behind: float | None = None
    """By how much its mean is worse than the leader's on shared seeds, negative: better; None as with `p_value`."""
    tied: bool
    """Whether it cannot be told apart from the leader; true for the leader itself, false where it failed on more seeds
    than the leader did, or has too few runs to compare."""
    model_parameters: int | None
    seconds: float | None
    """Mean wall time of its confirming runs."""
    stopped_early: bool = False
    """Whether the race left it behind, so that it was given no more seeds."""


class Confirmation(_Record):
    """The finalists of a study, best validation mean first."""

    metric: str
    finalists: tuple[Finalist, ...]
    chosen: int
    """The trial to use: the leader, or with a margin the cheapest within it."""
    noise_floor: float
    """Pooled standard deviation of the objective from seed to seed."""
    expected: Estimate | None = None
    """What is to be expected of the chosen one: its mean over seeds that did not choose it, or with an interval that
    allows for the choice. None in records of earlier versions."""
    margin: float | None = None
    """Within so much of the best mean the cheapest was chosen; None: the best mean."""
    may_cost: float | None = None
    """By how much the chosen one may be worse than the leader, at 95%; None where it is the leader."""
    looks: tuple[int, ...] | None = None
    """Seeds that there were each time that results were shown and seeds were added later; the last number is today's.
    None in records of earlier versions."""
    test: Mapping[str, Estimate]
    """Test metric -> its estimate over the seeds of the chosen finalist, looked at after the choice was made."""

    @property
    def winner(self) -> Finalist:
        """The chosen finalist."""
        return next(finalist for finalist in self.finalists if finalist.trial == self.chosen)

    @property
    def estimate(self) -> Estimate | None:
        """What is to be expected of the chosen finalist."""
        return self.expected or self.winner.validation
