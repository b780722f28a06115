"""The result of confirming a study: its finalists over fresh seeds, which one was chosen, and the noise floor."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

LEVEL = 0.05
"""A finalist whose p-value is below it is called worse than the leader."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, strict=False, extra="forbid")


class Estimate(_Record):
    """A mean over at least two seeds with its uncertainty."""

    mean: float
    deviation: float
    """Standard deviation from seed to seed, with n - 1 in the denominator."""
    low: float
    high: float
    """The 95% confidence interval of the mean, by Student's t; its width is 0 where all seeds gave the same value."""
    seeds: int
    """The number of values."""


class Finalist(_Record):
    """One configuration that was trained again over seeds."""

    trial: int
    """Number of the trial in the study."""
    searched: float
    """The validation score that made it a finalist. It comes from one run, and usually from a lucky one."""
    values: Mapping[int, float]
    """Seed of the confirming run -> the objective at its best epoch; failed runs are missing."""
    failures: Mapping[int, str] = {}
    """Seed of a confirming run that failed for good -> the reason: nonfinite, error, timeout, ..."""
    validation: Estimate | None
    """The mean of `values`; None where fewer than two runs have a score."""
    p_value: float | None
    """The p-value of the test that it is no worse than the leader, corrected for multiple comparisons; None for the
    leader itself and where too few runs can be compared."""
    behind: float | None = None
    """How much worse its mean is than the leader's, on shared seeds; negative: better. None as with `p_value`."""
    tied: bool
    """Whether it may be as good as the leader; true for the leader itself, false where it failed on more seeds
    than the leader did, or has too few runs to compare."""
    model_parameters: int | None
    seconds: float | None
    """Mean wall time of its confirming runs."""
    stopped_early: bool = False
    """Whether it dropped out of the race, and so got no more seeds."""


class Confirmation(_Record):
    """The finalists of a study, best validation mean first."""

    metric: str
    finalists: tuple[Finalist, ...]
    chosen: int
    """The trial to use: the leader, or with a margin the cheapest within it."""
    noise_floor: float
    """Pooled standard deviation of the objective from seed to seed."""
    expected: Estimate | None = None
    """The expected score of the chosen finalist: its mean over seeds that played no part in the choice, or else a mean
    whose interval allows for the choice. None in records of earlier versions."""
    margin: float | None = None
    """The cheapest finalist whose mean is at most this much worse than the best was chosen; None: the one with the
    best mean."""
    may_cost: float | None = None
    """How much worse the chosen one may be than the leader, at 95% confidence; None where it is the leader."""
    looks: tuple[int, ...] | None = None
    """The number of seeds at each time that results were shown, where seeds were added later; the last number is the
    present one. None in records of earlier versions."""
    other_looks: tuple[int, ...] = ()
    """The looks at the other confirmation of the study: with redrawn splits, or without."""
    splits: bool = False
    """Whether each seed had a split into training and validation of its own, drawn by that seed."""
    examples: Mapping[str, int] = {}
    """validation, test -> the number of examples that a score is measured on; with folds, those of all folds. Empty in
    records of earlier versions."""
    test: Mapping[str, Estimate]
    """Test metric -> its estimate over the seeds of the chosen finalist, computed after the choice was made."""

    @property
    def winner(self) -> Finalist:
        """The chosen finalist."""
        return next(finalist for finalist in self.finalists if finalist.trial == self.chosen)

    @property
    def estimate(self) -> Estimate | None:
        """The score to expect of the chosen finalist."""
        return self.expected or self.winner.validation
