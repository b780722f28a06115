"""Scripts of trials that run out of memory where others train beside them."""

from collections import defaultdict
from collections.abc import Callable, Iterator

from hpo.training.messages import Failed, Job


class ScarceMemory:
    """Notes which trials train side by side, in scripts of so many epochs."""

    def __init__(self, needs_much: Callable[[Job], bool], epochs: int = 5) -> None:
        """`needs_much`: which jobs run out of memory where any other trains meanwhile."""
        self.beside: dict[int, set[int]] = defaultdict(set)
        self._needs_much, self._epochs = needs_much, epochs
        self._training: set[int] = set()

    def script(self, job: Job) -> Iterator[float | Failed]:
        """The script of a job."""
        self._training.add(job.trial)
        try:
            # The engine asks anew for the epochs that a trial had before it paused.
            done = job.resume.epochs if job.resume else 0
            for epoch in range(1, self._epochs + 1):
                for one in self._training:
                    self.beside[one] |= self._training - {one}
                if epoch > done and len(self._training) > 1 and self._needs_much(job):
                    yield Failed(job.trial, "out_of_memory", "no memory", "")
                yield 0.01 * epoch + 1e-12 * job.seed
        finally:
            self._training.discard(job.trial)
