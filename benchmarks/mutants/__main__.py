"""Draws mutants of modules, runs the tests that hold each, and names those that no test notices."""

import argparse
import contextlib
import difflib
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from benchmarks.mutants.operators import mutants
from benchmarks.mutants.table import TESTS
from benchmarks.mutants.trees import Running, Tree, prepare

_CHECKOUT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Mutant:
    """A module with one change."""

    module: str
    source: str
    change: str
    """The line as it was and as it is."""


def drawn(module: str, sample: int, seed: int) -> Iterator[Mutant]:
    """A number of mutants of a module, the same for the same seed and text."""
    before = (_CHECKOUT / "hpo" / module).read_text(encoding="utf-8")
    for operator, source in islice(mutants(before, random.Random(f"{seed} {module}")), sample):
        yield Mutant(module, source, f"{operator}: {_change(before, source)}")


def _change(before: str, after: str) -> str:
    lines = list(difflib.unified_diff(before.split("\n"), after.split("\n"), n=0, lineterm=""))[2:]
    place = lines[0].split()[1].lstrip("-").partition(",")[0]
    return f"line {place}: " + " ".join(line[0] + " " + line[1:].strip() for line in lines[1:])


def main() -> None:
    """Prints a line for each mutant as it is tried, then a table."""
    parser = argparse.ArgumentParser(prog="scripts/mutants", description=__doc__)
    parser.add_argument("--modules", nargs="*", default=list(TESTS), help="as in benchmarks/mutants/table.py")
    parser.add_argument("--sample", type=int, default=4, help="mutants of each module")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="mutants at a time")
    options = parser.parse_args()
    prepare()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        trees = [Tree(_CHECKOUT, Path(folder) / f"tree-{number}") for number in range(options.jobs)]
        killed: dict[Mutant, bool] = {}
        for module in options.modules:
            if (limit := limit_of(module, trees[0])) is not None:
                killed |= tried(list(drawn(module, options.sample, options.seed)), trees, limit)
    _report(killed)


def limit_of(module: str, tree: Tree) -> float | None:
    """How long a module's tests may take, in seconds: several times what they take with nothing changed.

    None if they fail with nothing changed, so that they show nothing.
    """
    running = tree.start(TESTS[module], limit=600)
    while (passed := running.ended()) is None:
        time.sleep(0.05)
    if not passed:
        print(
            f"{module} is left out: its tests fail with nothing changed:\n{running.log.read_text()[-3000:]}", flush=True
        )
        return None
    return 30 + 4 * (time.monotonic() - running.began)


def tried(chosen: Sequence[Mutant], trees: Sequence[Tree], limit: float) -> Iterator[tuple[Mutant, bool]]:
    """Each mutant, and whether a test failed, in the order in which that is known."""
    waiting, free = list(reversed(chosen)), list(trees)
    running: list[tuple[Mutant, Tree, Running, contextlib.ExitStack]] = []
    while waiting or running:
        while waiting and free:
            mutant, tree, stack = waiting.pop(), free.pop(), contextlib.ExitStack()
            stack.enter_context(tree.changed(f"hpo/{mutant.module}", mutant.source))
            running.append((mutant, tree, tree.start(TESTS[mutant.module], limit), stack))
        time.sleep(0.02)
        for one in list(running):
            mutant, tree, tests, stack = one
            if (passed := tests.ended()) is not None:
                stack.close()
                running.remove(one)
                free.append(tree)
                print(_line(mutant, tests, passed), flush=True)
                yield mutant, not passed


def _line(mutant: Mutant, tests: Running, passed: bool) -> str:
    seconds = time.monotonic() - tests.began
    failed = [line for line in tests.log.read_text(errors="replace").split("\n") if line.startswith("FAILED")]
    by = "" if passed else f" by {failed[0].split()[1] if failed else 'an error or the time'}"
    return f"{'SURVIVED' if passed else 'killed'}{by} {seconds:.1f} s {mutant.module} {mutant.change}"


def _report(killed: dict[Mutant, bool]) -> None:
    of, dead = Counter(mutant.module for mutant in killed), Counter(one.module for one in killed if killed[one])
    print("\n| module | mutants | killed |\n|---|---|---|")
    for module, count in of.items():
        print(f"| {module} | {count} | {dead[module]} |")
    print(f"| all | {of.total()} | {dead.total()} ({100 * dead.total() / max(of.total(), 1):.0f}%) |")


if __name__ == "__main__":
    main()
