"""Each trial in one go, to its end or until the pruner stops it; a sampler proposes."""

from hpo.schedule.steps import Begin, Schedule, Step, Wait


class OnePass(Schedule):
    """Begins trials, and pauses none."""

    pauses = False

    def next(self, may_begin: bool) -> Step:
        """Another trial."""
        return Begin(self.history.units, "the sampler's next") if may_begin else Wait()
