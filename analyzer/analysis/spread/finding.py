"""One subject: its counts, how usual they are, and why they are as they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from analyzer.analysis.spread import causes, wording
from analyzer.analysis.spread.calls import UNITS
from analyzer.analysis.spread.choice import ROUND_ROBIN
from analyzer.analysis.spread.draws import by_node, draws
from analyzer.analysis.spread.expectation import expectation
from analyzer.analysis.spread.intervals import effective_size, wilson
from analyzer.analysis.spread.power import choices_needed
from analyzer.words import plural

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.analysis.spread.causes import Heavy, ShareChange
    from analyzer.analysis.spread.choice import Choice, Proxies
    from analyzer.analysis.spread.draws import Draws
    from analyzer.analysis.spread.expectation import Expectation
    from analyzer.analysis.spread.significance import Significance
    from analyzer.analysis.spread.visibility import Visibility

#: The column of calls that each way to count goes by.
COLUMNS = {
    "pod": "backend",
    "node": "backend_node",
    "client": "client",
    "entry-node": "entry_node",
}


#: Changes in counts that chance explains are told only if they are as marked as this.
_UNASKED = 0.005


@dataclass
class Finding:
    """What was found of one subject.

    Parameters
    ----------
    kind, subject : str
    calls : pl.DataFrame
        Its rows of :func:`analyzer.analysis.spread.calls.subjects`, with ``is_fair``
        (bool: the captures would show it whichever backend it had got).
    groups : pl.DataFrame
        One row per backend (or node, client, entry node), unknown ones last: ``group``
        (str, null if unknown), ``node``, ``clients`` (u32), ``first_time``,
        ``last_time`` and each unit (f64); ``share``, ``share_low``, ``share_high``,
        ``expected_share`` (f64, null where not known).
    unit, by : str
    null_hypothesis : str, optional
        What the counts are held against.
    told_by : str, optional
        What tells the expected shares: rules, endpoints, or seen.
    choices : int
        Independent choices that were tested.
    significance : Significance, optional
        None where nothing could be tested.
    evenly : Significance, optional
        The same if every backend were as likely, where a traffic policy keeps calls on
        their node, or hints in their zone.
    is_local, is_round_robin : bool
        Whether any calls are kept on their node by a traffic policy, or given out in
        turn.
    kept_in : frozenset of str
        Where hints keep calls: ``node``, ``zone``.
    needed : int, optional
        Choices after which a twofold imbalance would probably be seen.
    is_without_endpoints : bool
        Whether cluster state says that there is no ready endpoint.
    is_by_client, is_partly_by_client : bool
        Whether choices are made for clients rather than for connections: all of them,
        or any.
    outstanding : tuple of str
        Groups that got more or less than chance explains.
    changes : list of ShareChange
    heavy : list of Heavy
    remarks : list of str
        Further findings, in words.
    p_adjusted : float, optional
        The p-value, adjusted for the number of subjects.
    """

    kind: str
    subject: str
    calls: pl.DataFrame
    groups: pl.DataFrame
    unit: str
    by: str
    null_hypothesis: str | None = None
    told_by: str | None = None
    choices: int = 0
    significance: Significance | None = None
    evenly: Significance | None = None
    is_local: bool = False
    kept_in: frozenset[str] = frozenset()
    is_round_robin: bool = False
    needed: int | None = None
    is_without_endpoints: bool = False
    is_by_client: bool = False
    is_partly_by_client: bool = False
    outstanding: tuple[str, ...] = ()
    changes: list[ShareChange] = field(default_factory=list)
    heavy: list[Heavy] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    p_adjusted: float | None = None

    @property
    def is_uneven(self) -> bool:
        """Whether chance does not explain the counts."""
        return self.p_adjusted is not None and self.p_adjusted <= causes.LEVEL


def find(
    kind: str,
    subject: str,
    calls: pl.DataFrame,
    *,
    nodes: Mapping[str, str | None],
    proxies: Proxies,
    visible: Visibility,
    unit: str,
    by: str,
) -> Finding:
    """Count one subject's calls, test them and look for causes.

    Parameters
    ----------
    kind, subject : str
    calls : pl.DataFrame
        Of the subject.
    nodes : mapping of str to str
        Its backends, as far as cluster state tells, and their nodes.
    proxies : Proxies
    visible : Visibility
    unit, by : str
    """
    told = {name: node for name, node in nodes.items() if node is not None}
    everyone = {**dict.fromkeys(nodes), **_nodes_seen(calls), **told}
    groups = _groups(calls, everyone, by)
    calls = calls.with_columns(is_fair=pl.lit(value=True))
    found = Finding(kind, subject, calls, groups, unit, by)
    namespace, _, name = subject.partition("/")
    if kind == "Service":
        found.is_without_endpoints = proxies.is_without_endpoints(namespace, name)
    if by not in ("pod", "node"):
        shown = groups.with_columns(is_shown=pl.lit(value=True))
        size = effective_size(calls[unit].to_numpy())
        found.groups = _with_shares(shown, unit, size, None)
        return found
    expected = expectation(calls, everyone, proxies, visible)
    is_cut = expected.is_cut[expected.fronts_of(calls)]
    found.calls = calls.with_columns(is_fair=pl.Series(~is_cut, dtype=pl.Boolean))
    sticky = np.array([choice.affinity for choice in expected.choices], dtype=bool)
    is_told = bool(sticky.any())
    # Calls that stay on their node look like clients that stay with their pod.
    stay_at_home = causes.stay_on_entry_node(calls)
    if not is_told and not stay_at_home and causes.clients_stay(calls):
        sticky[:] = True
    choices, even = draws(calls, expected, unit, sticky=sticky)
    if by == "node":
        choices, even = by_node(choices, everyone), by_node(even, everyone)
    found.groups = _with_shares(
        _with_shown(groups, even),
        unit,
        effective_size(choices.weights),
        _expected_shares(choices),
    )
    found.is_by_client = bool(sticky.all())
    found.is_partly_by_client = bool(sticky.any())
    _describe_expectation(found, expected, choices, is_told=is_told)
    by_chance = all(choice.is_by_chance for choice in expected.choices)
    if by_chance:
        _test(found, choices)
        found.evenly = causes.tested(even) if found.is_local or found.kept_in else None
    else:
        found.remarks.append(
            f"Not tested: {_scheduler(expected.choices)} looks at more than chance."
        )
    _look_for_causes(found, choices, calls)
    return found


def _nodes_seen(calls: pl.DataFrame) -> dict[str, str | None]:
    known = calls.filter(pl.col("backend").is_not_null())
    return dict(
        known.group_by("backend")
        .agg(pl.col("backend_node").drop_nulls().first())
        .rows()
    )


def _groups(
    calls: pl.DataFrame, nodes: Mapping[str, str | None], by: str
) -> pl.DataFrame:
    """Count each group in every unit, with those that got nothing."""
    column = COLUMNS[by]
    node = "backend_node" if by == "pod" else None
    counted = calls.group_by(group=pl.col(column)).agg(
        node=pl.col(node).drop_nulls().first() if node else pl.lit(None, pl.String),
        clients=pl.col("client").n_unique(),
        first_time=pl.col("start_time").min(),
        last_time=pl.col("start_time").max(),
        **{unit: pl.col(unit).sum() for unit in UNITS},
    )
    names: dict[str, str | None] = {}
    if by == "pod":
        names = dict(nodes)
    elif by == "node":
        names = {node: None for node in nodes.values() if node}
    rows = list(names.items())
    listed = pl.DataFrame(rows, {"group": pl.String, "told": pl.String}, orient="row")
    return (
        counted.join(listed, on="group", how="full", coalesce=True)
        .with_columns(
            pl.coalesce("node", "told").alias("node"),
            pl.col("clients", *UNITS).fill_null(0),
        )
        .drop("told")
        .sort("group", nulls_last=True)
    )


def _expected_shares(choices: Draws) -> dict[str, float]:
    """Give each backend's expected share of what is known.

    What nothing is known of is expected as it came.
    """
    total = float(choices.weights.sum())
    if not total:
        return {}
    nothing_known = (choices.chances.sum(axis=1) == 0)[choices.ways]
    as_it_came = choices.take(nothing_known).totals
    shares = (choices.expected + as_it_came) / total
    return dict(zip(choices.backends, shares.tolist(), strict=True))


def _with_shown(groups: pl.DataFrame, even: Draws) -> pl.DataFrame:
    """Tell which groups the captures would have shown calls to."""
    ways = np.unique(even.ways)
    is_shown = (even.chances[ways] > 0).any(axis=0) | (even.totals > 0)
    shown = [name for name, of in zip(even.backends, is_shown, strict=True) if of]
    return groups.with_columns(
        is_shown=pl.col("group").is_in(shown).fill_null(value=False)
        | (pl.col("connections") > 0)
    )


def _with_shares(
    groups: pl.DataFrame, unit: str, size: float, expected: dict[str, float] | None
) -> pl.DataFrame:
    """Add shares of what is known, with intervals."""
    amounts = groups.filter(pl.col("group").is_not_null())[unit].to_numpy()
    unknown = len(groups) - len(amounts)
    empty = [None] * len(groups)
    shares, low, high = empty, empty, empty
    if amounts.sum() > 0 and size > 0:
        of_each = amounts / amounts.sum()
        bounds = wilson(of_each, size)
        shares, low, high = (
            [*each.tolist(), *[None] * unknown] for each in (of_each, *bounds)
        )
    told = [(expected or {}).get(name) for name in groups["group"]]
    # What captures do not show is not known to be zero.
    return groups.with_columns(
        pl.when("is_shown").then(pl.Series(name, values, pl.Float64)).alias(name)
        for name, values in (
            ("share", shares),
            ("share_low", low),
            ("share_high", high),
            ("expected_share", told),
        )
    )


def _describe_expectation(
    found: Finding, expected: Expectation, choices: Draws, *, is_told: bool
) -> None:
    """Name the null hypothesis, and say what the captures do not show."""
    told = [choice for choice in expected.choices if choice.probabilities]
    if not told:
        return
    order = ("seen", "endpoints", "rules")
    found.told_by = min((choice.told_by for choice in told), key=order.index)
    found.is_local = any(choice.is_local for choice in told)
    found.kept_in = frozenset(choice.kept_in for choice in told if choice.kept_in)
    found.is_round_robin = any(choice.scheduler in ROUND_ROBIN for choice in told)
    found.null_hypothesis = _hypothesis(told, found, is_told=is_told)
    if expected.is_cut.any():
        hidden = int((~found.calls["is_fair"]).sum())
        was = "was" if hidden == 1 else "were"
        found.remarks.append(
            f"{plural(hidden, 'connection')} {was} seen only behind DNAT,"
            " where these captures do not show every backend; expected shares allow"
            " for that."
        )
    source = "rules do" if found.told_by == "rules" else "endpoints do"
    for each in causes.impossible(choices):
        found.remarks.append(wording.impossible(each, source))


def _hypothesis(told: list[Choice], found: Finding, *, is_told: bool) -> str:
    proxies = sorted({choice.proxy for choice in told if choice.proxy})
    proxy = f"kube-proxy ({', '.join(proxies)})" if proxies else "kube-proxy"
    if found.is_round_robin:
        text = "IPVS gives each backend its turn (round robin)"
    elif found.told_by == "rules":
        chances = {round(p, 6) for each in told for p in each.probabilities.values()}
        even = len(chances) == 1 and not found.is_local and not found.kept_in
        of_each = f", 1 in {round(1 / chances.pop())} each" if even else ""
        text = f"{proxy} chooses at random by its rules{of_each}"
    elif found.told_by == "endpoints" and proxies:
        text = f"{proxy} chooses by its rules, or evenly where the service is not known"
    elif found.told_by == "endpoints":
        text = "every ready endpoint is as likely (the proxy's rules are not known)"
    else:
        text = "every backend that answered is as likely (endpoints are not known)"
    if found.is_local:
        text += ", calls among the entry node's own (traffic policy Local)"
    if found.kept_in:
        text += f", calls kept {wording.place(found.kept_in)} (hints)"
    if found.is_partly_by_client:
        text += ", once per client and node (ClientIP affinity"
        text += ")" if is_told else ", as every client stayed with one backend)"
    return text


def _test(found: Finding, choices: Draws) -> None:
    found.significance = causes.tested(choices)
    open_ = choices.take(choices.is_open & choices.is_possible)
    found.choices = len(open_)
    if found.significance is None:
        return
    at = [choices.backends[each] for each in causes.outstanding(choices)]
    found.outstanding = tuple(at)
    mean = open_.expected / open_.weights.sum() if open_.weights.sum() else None
    if mean is not None:
        needed = choices_needed(mean)
        if needed is not None:
            spread_out = len(open_) / max(effective_size(open_.weights), 1e-9)
            found.needed = int(np.ceil(needed * spread_out))


def _scheduler(choices: tuple[Choice, ...]) -> str:
    names = {each.scheduler or "" for each in choices if not each.is_by_chance}
    return f"IPVS's scheduler {', '.join(sorted(names))}"


def _look_for_causes(found: Finding, choices: Draws, calls: pl.DataFrame) -> None:
    significance = found.significance
    is_odd = significance is not None and significance.p_value <= causes.LEVEL
    level = causes.LEVEL if is_odd else _UNASKED
    if not found.is_round_robin and not found.is_partly_by_client:
        found.changes = _changes(choices, level=level)
    units = ("requests", "bytes") if found.unit == "connections" else (found.unit,)
    heavy = (causes.heavy_connections(calls, unit) for unit in units)
    found.heavy = [each for each in heavy if each is not None]
    if is_odd:
        # A change of shares makes those of a node uneven, too.
        odd = {} if found.changes else causes.odd_entry_nodes(choices)
        if odd:
            names = wording.listed(odd)
            found.remarks.append(
                f"Only calls that come in through {names} fall unevenly"
                f" ({wording.p_value(min(odd.values()))}): look at the proxy's rules"
                " there."
            )
        if not found.is_local and causes.stay_on_entry_node(calls):
            found.remarks.append(
                "Every call from outside was answered on the node that took it in, as"
                " externalTrafficPolicy: Local does."
            )


def _changes(choices: Draws, *, level: float) -> list[ShareChange]:
    """Find changes of shares, and silences that are no part of one."""
    found = causes.share_changes(choices, level=level)
    told = {
        (each.name, not each.after)
        for change in found
        for each in change.backends
        if not each.before or not each.after
    }
    more = [
        change
        for change in causes.silences(choices, level=level)
        if (change.backends[0].name, not change.backends[0].after) not in told
    ]
    return sorted([*found, *more], key=lambda change: change.earliest)
