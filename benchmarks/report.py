"""The arithmetic: rates per round become medians, medians become ratios, ratios meet targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

Rates = Mapping[str, Sequence[float]]

NAMES = {
    "spend": "ledger.spend from Django, 1 client",
    "pgbench_spend": "pgbench calling the same function",
    "minimal_transaction": "minimal debit: BEGIN, UPDATE, INSERT, COMMIT",
    "minimal_function": "minimal debit: the same inside one function",
    "hordak": "django-hordak: lock, look, transfer_to",
    "hordak_transfer": "django-hordak: transfer_to alone",
    "spend_many": "ledger.spend_many, 500 debits over 100 wallets",
    "hot_wallet": "ledger.spend on one wallet, 8 clients",
    "pgbench_hot_wallet": "pgbench on one wallet, 8 clients",
    "hold_and_capture": "ledger.reserve and ledger.capture",
}


@dataclass(frozen=True, slots=True)
class Target:
    """One rate divided by another, and what is promised about it."""

    above: str
    below: str
    at_least: float


TARGETS = {
    "spend_vs_pgbench": Target("spend", "pgbench_spend", 0.65),
    "function_vs_minimal_debit": Target("pgbench_spend", "minimal_transaction", 0.5),
    "spend_vs_hordak": Target("spend", "hordak", 3),
    "spend_many_vs_spend": Target("spend_many", "spend", 6),
    "hot_wallet_vs_pgbench": Target("hot_wallet", "pgbench_hot_wallet", 0.5),
}

# Told beside them, without a promise.
OTHERS = {
    "function_vs_minimal_function": Target("pgbench_spend", "minimal_function", 0),
    "spend_vs_hordak_transfer": Target("spend", "hordak_transfer", 0),
}
WIDTH = 48

# What the dashboard of somebody with 10,000 movements may take on the server.
DASHBOARD_MS = 50


def ratio(rates: Rates, above: str, below: str) -> float:
    """The median of the rounds' ratios: each compares what was measured within seconds."""
    pairs = zip(rates[above], rates[below], strict=True)
    return round(median(one / other for one, other in pairs), 3)


def result(
    rates: Rates,
    without_disk: Rates,
    *,
    sync_microseconds: Sequence[float],
    machine: Mapping[str, Any],
    webhooks: Mapping[str, float],
    pages: Mapping[str, float],
) -> dict[str, Any]:
    """Everything that goes into ``var/bench.json``."""
    ratios = _all_ratios(TARGETS, rates)
    return {
        "ratios": ratios,
        "targets": {name: one.at_least for name, one in TARGETS.items()},
        "met": {name: ratios[name] >= one.at_least for name, one in TARGETS.items()},
        "others": _all_ratios(OTHERS, rates),
        "per_second": _medians(rates),
        "rounds": {name: [round(rate, 1) for rate in found] for name, found in rates.items()},
        "synchronous_commit_off": {
            "per_second": _medians(without_disk),
            "ratios": _all_ratios(TARGETS | OTHERS, without_disk),
        },
        "webhooks": dict(webhooks),
        "pages": dict(pages) | {"dashboard_p95_at_most_ms": DASHBOARD_MS},
        "sync_microseconds": {
            "median": round(median(sync_microseconds), 1),
            "95th": round(sorted(sync_microseconds)[int(len(sync_microseconds) * 0.95)], 1),
        },
        "machine": dict(machine),
    }


def _all_ratios(wanted: Mapping[str, Target], rates: Rates) -> dict[str, float]:
    """Those whose both sides were measured."""
    return {
        name: ratio(rates, one.above, one.below)
        for name, one in wanted.items()
        if {one.above, one.below} <= set(rates)
    }


def _medians(rates: Rates) -> dict[str, float]:
    return {name: round(median(found), 1) for name, found in rates.items()}


def text(found: Mapping[str, Any]) -> str:
    """The same for a person."""
    parts = [_heading(found), _rates(found), _ratios(found), _without_waiting(found)]
    if found["webhooks"]:
        parts.append(_webhooks(found))
    parts.append(_pages(found["pages"]))
    return "\n\n".join("\n".join(part) for part in parts)


def _heading(found: Mapping[str, Any]) -> list[str]:
    machine, sync = found["machine"], found["sync_microseconds"]
    programs = [f"{name} {machine[name]}" for name in ("PostgreSQL", "Python", "Django")]
    kept = f"{sync['median']:.0f} µs here (95 in 100: {sync['95th']:.0f} µs)"
    return [
        f"{', '.join(programs)}; {machine['cores']} cores, load {machine['load']} at the start.",
        f"fsync is on: to write 8 kB and have the disk keep it takes {kept}.",
        f"Medians of {machine['rounds']} rounds in which all took turns.",
        *(["The machine is busy with something else: measure again."] if _is_busy(machine) else []),
    ]


def _is_busy(machine: Mapping[str, Any]) -> bool:
    """Whether the load before anything was measured took more than half a core of two."""
    return bool(machine["load"] > machine["cores"] / 4)


def _rates(found: Mapping[str, Any]) -> list[str]:
    lines = [f"{'':{WIDTH}}{'per second':>12}{'µs each':>10}"]
    for name, label in NAMES.items():
        rate = found["per_second"][name]
        lines.append(f"{label:{WIDTH}}{rate:>12,.0f}{1_000_000 / rate:>10,.0f}")
    return lines


def _ratios(found: Mapping[str, Any]) -> list[str]:
    lines = [f"{'':{WIDTH}}{'measured':>12}{'wanted':>10}"]
    for name, measured in found["ratios"].items():
        verdict = "" if found["met"][name] else "   MISSED"
        lines.append(f"{_line(name, measured)}{found['targets'][name]:>10}{verdict}")
    return [*lines, *(_line(name, found["others"][name]) for name in OTHERS)]


def _without_waiting(found: Mapping[str, Any]) -> list[str]:
    off = found["synchronous_commit_off"]
    return [
        "The same without waiting for the disk (synchronous_commit = off): the processor's part",
        *(_line(name, measured) for name, measured in off["ratios"].items()),
    ]


def _webhooks(found: Mapping[str, Any]) -> list[str]:
    return [
        "Webhooks, over HTTP through web server, worker and sandbox",
        _line("events stored per second", found["webhooks"]["stored_per_second"]),
        _line("orders settled and delivered per second", found["webhooks"]["settled_per_second"]),
    ]


def _pages(pages: Mapping[str, float]) -> list[str]:
    measured = pages["dashboard_p95_ms"]
    verdict = "" if measured <= DASHBOARD_MS else "   MISSED"
    return [
        "Server time in ms that 95 of 100 visits stay under, with 10,000 movements in the account",
        f"{_line('the first page', measured)}{f'<= {DASHBOARD_MS}':>10}{verdict}",
        _line("a page with the same header and a form", pages["trivial_p95_ms"]),
    ]


def _line(label: str, value: float) -> str:
    return f"{label:{WIDTH}}{value:>12.2f}"
