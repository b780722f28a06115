"""The machines of a cluster: how many workers they have room for, and whether they can train."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import ray

from hpo.engines.ray_cluster import Cluster, differences, in_words, named, probed
from hpo.engines.ray_compat import first_lines
from hpo.engines.ray_messages import Placed
from hpo.engines.ray_places import Needs
from hpo.errors import HpoError, UserError
from hpo.system.long_work import notes_while_waiting
from hpo.training.messages import FailureReason

# Seconds for which fewer workers than wanted are placed before that is told: actors take a moment to start.
_BEFORE_TOLD = 5.0
# Seconds that the machines may take to say what is installed; with a runtime environment to be made, minutes.
_ANSWERED_WITHIN = 600.0


class Machines:
    """What a cluster has, as far as an engine asks."""

    def __init__(self, cluster: Cluster, needs: Needs, most: float, trials: int | None) -> None:
        """`most`: how many workers there may be; `trials`: more are of no use."""
        self.needs = needs
        self.avoided: frozenset[str] = frozenset()
        """The machines that cannot train."""
        self._cluster = cluster
        self._most = most if trials is None else min(most, trials)
        self._may_grow = most == float("inf")
        self._nodes: Mapping[str, Mapping[str, Any]] = {}
        self._asked: dict[str, Any] = {}
        self._answered: dict[str, Mapping[str, str]] = {}
        self._notes: list[str] = []
        self._unfit: list[str] = []
        self._seen: tuple[int, int] = (0, 0)
        self._since = time.monotonic()
        self._told_of_few = False

    def look(self) -> int:
        """Looks at the machines; returns how many workers there are to be."""
        self._nodes = self._cluster.nodes
        if not self._cluster.alone:
            for node in self._nodes.keys() - self._asked.keys():
                self._asked[node] = probed(node)
            if self._answered:
                self._hear_of_joined()
        return max(1, int(min(self._most, self._room() if self._may_grow else self._most)))

    def _room(self) -> int:
        """How many workers the machines that can train have room for."""
        return sum(self.needs.room(node["Resources"]) for name, node in self._nodes.items() if name not in self.avoided)

    def check(self) -> None:
        """Checks the machines before the first trial.

        Raises:
            UserError: some cannot train; all of them are named.
        """
        asked = list(self._asked.values())
        with notes_while_waiting(lambda: "still asking the cluster's machines what is installed"):
            late = ray.wait(asked, num_returns=len(asked), timeout=_ANSWERED_WITHIN)[1] if asked else []
        wrong = []
        for node, reference in self._asked.items():
            if reference in late:
                wrong.append(f"{node}: has not said what is installed for {_ANSWERED_WITHIN:g} s")
            elif mistake := self._hear(node, reference):
                wrong.append(mistake)
        if wrong:
            raise UserError("\n".join(["machines of the cluster cannot train:", *(f"  {one}" for one in wrong)]))

    def _hear_of_joined(self) -> None:
        for node in self._asked.keys() - self._answered.keys() - self.avoided:
            reference = self._asked[node]
            if ray.wait([reference], timeout=0)[0] and node in self._nodes and (mistake := self._hear(node, reference)):
                self.avoided |= {node}
                self._notes.append(f"a machine that joined the cluster cannot train: {mistake}")

    def _hear(self, node: str, reference: Any) -> str | None:
        """Takes in what a machine has answered; returns why it cannot train, if so."""
        try:
            found = ray.get(reference)
        except ray.exceptions.RayError as error:
            return f"{node}: {first_lines(error)}"
        self._answered[node] = found
        if wrong := differences(found):
            return f"{named(found, self._nodes[node])}: {', '.join(wrong)}"
        self._notes.append(in_words(found, self._nodes[node]))
        return None

    def avoid(self, node: str, why: str, others: int) -> None:
        """Leaves a machine out, since it cannot take the data; `others`: how many workers have theirs.

        Raises:
            HpoError: there are none, and no other machine has room for a worker.
        """
        if node not in self.avoided:
            self.avoided |= {node}
            self._unfit.append(f"{self.name(node)}: {why}")
            self._notes.append(f"a machine of the cluster cannot train: {self._unfit[-1]}")
        if not others and not self._room():
            rule = "no machine of the cluster can train; once one can, the same command goes on:"
            raise HpoError("\n".join([rule, *(f"  {one}" for one in self._unfit)]))

    def name(self, node: str) -> str:
        """The address and the name of a machine, as far as they are known."""
        known = self._nodes.get(node)
        return node if known is None else named(self._answered.get(node, {}), known)

    def tell(self, node: str, what: str) -> None:
        """Notes what happens on a machine."""
        self._notes.append(f"{self.name(node)}: {what}")

    def cause(self, placed: Placed | None, error: Exception) -> tuple[FailureReason, str]:
        """Why a worker was lost; `placed`: where it was."""
        text = first_lines(error)
        if placed is None:
            return "lost", f"its worker could not start: {text}"
        if placed.node not in self._cluster.nodes or "node has died" in text or "node is dead" in text:
            return "lost", f"the machine {placed.address} left the cluster"
        if (
            isinstance(error, ray.exceptions.OutOfMemoryError)
            or "low on memory" in text
            or "Memory on the node" in text
        ):
            return "out_of_memory", f"Ray ended the worker on {placed.address} because memory ran out"
        return "killed", f"the worker's actor on {placed.address} died: {text}"

    def notes(self, placed: int, wanted: int) -> Sequence[str]:
        """What there is to tell since the last call."""
        if (placed, wanted) != self._seen:
            self._seen, self._since = (placed, wanted), time.monotonic()
            if placed >= wanted and self._told_of_few:
                self._notes.append(f"{placed} of {wanted} workers placed")
                self._told_of_few = False
        elif placed < wanted and time.monotonic() - self._since > _BEFORE_TOLD:
            self._since = float("inf")
            self._told_of_few = True
            self._notes.append(self.waiting(placed, wanted))
        found, self._notes = self._notes, []
        return found

    def waiting(self, placed: int, wanted: int) -> str:
        """How many workers are placed, and what the others wait for."""
        return f"{placed} of {wanted} workers placed; waiting for {wanted - placed} x {self.needs}"
