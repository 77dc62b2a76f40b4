"""What kube-proxy's chains come to: which backend, and with what probability.

kube-proxy writes the same decisions as iptables and as nftables rules. A service's
chain tries its endpoints one after the other, each with a probability of its own, or
draws a number; a rule that is only for some sources leads them another way.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from analyzer.cluster.model import Backend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from analyzer.cluster.model import ProxyRule

Socket = tuple[str, int | None]

# Probabilities are written with ten digits and kept in 31 bits.
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Step:
    """One rule of a chain.

    Parameters
    ----------
    targets : tuple of (str, float)
        Chains to go on with, and the probability of each.
    destination : (str, int or None), optional
        The address and port that DNAT puts in.
    ends : bool
        Whether it refuses what comes to it.
    for_some_sources : bool
        Whether it is only for packets from the node itself, or from pods.
    recalls : bool
        Whether it sends a client where it was sent before.
    """

    targets: tuple[tuple[str, float], ...] = ()
    destination: Socket | None = None
    ends: bool = False
    for_some_sources: bool = False
    recalls: bool = False


@dataclass(slots=True)
class Choice:
    """What a chain chooses from.

    Parameters
    ----------
    shares : dict
        Addresses and ports of backends, each with its probability.
    is_local : bool
        Whether these are only the node's own endpoints.
    affinity : bool
        Whether clients stay with what was chosen first.
    is_whole : bool
        Whether all chains on the way were there.
    detour : Choice, optional
        What pods and the node itself choose from, if not the same.
    """

    shares: dict[Socket, float] = field(default_factory=dict)
    is_local: bool = False
    affinity: bool = False
    is_whole: bool = True
    detour: Choice | None = None

    def backends(self) -> tuple[Backend, ...] | None:
        """List the backends, sorted; None if they were not all told."""
        if not self.is_whole:
            return None
        return tuple(
            Backend(address, port, share)
            for (address, port), share in sorted(
                self.shares.items(), key=lambda item: (item[0][0], item[0][1] or 0)
            )
        )

    def rules(self, front: ProxyRule) -> Iterator[ProxyRule]:
        """Give the rules of an address and port that lead to this choice."""
        yield replace(
            front,
            scope="local" if self.is_local else "cluster",
            affinity=self.affinity,
            backends=self.backends(),
        )
        if self.detour is not None:
            yield from self.detour.rules(front)


def choose(
    chains: Mapping[str, Sequence[Step]],
    name: str,
    is_local_chain: Callable[[str], bool],
) -> Choice:
    """Follow a chain to its ends.

    Parameters
    ----------
    chains : mapping of str to sequence of Step
    name : str
        The chain to begin with.
    is_local_chain : callable
        Tells by its name whether a chain chooses among the node's own endpoints.

    Returns
    -------
    Choice
        With shares that add up to one, if it has any and is whole.
    """
    return _choose(chains, name, is_local_chain, frozenset())


def _choose(
    chains: Mapping[str, Sequence[Step]],
    name: str,
    is_local_chain: Callable[[str], bool],
    passed: frozenset[str],
) -> Choice:
    steps = chains.get(name)
    if steps is None or name in passed:
        return Choice(is_local=is_local_chain(name), is_whole=False)
    choice = Choice(is_local=is_local_chain(name))
    remaining = 1.0
    for step in steps:
        if step.recalls:
            choice.affinity = True
        if step.destination is not None:
            choice.shares[step.destination] = remaining
            return choice
        if step.ends:
            remaining = 0.0
            break
        if step.recalls or remaining == 0.0:
            continue
        taken = 0.0
        for target, share in step.targets:
            part = _choose(chains, target, is_local_chain, passed | {name})
            if step.for_some_sources:
                choice.detour = part
                continue
            taken += share
            choice.affinity |= part.affinity
            choice.is_local |= part.is_local
            choice.is_whole &= part.is_whole
            choice.detour = choice.detour or part.detour
            for socket, inner in part.shares.items():
                mine = choice.shares.get(socket, 0.0)
                choice.shares[socket] = mine + remaining * share * inner
        remaining *= max(0.0, 1.0 - taken)
    if choice.detour is not None and remaining == 1.0:
        choice.is_local = True  # who comes from elsewhere finds no endpoint here
    elif remaining > _ROUNDING:
        choice.is_whole = False
    return choice
