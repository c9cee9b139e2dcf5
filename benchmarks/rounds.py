"""Taking turns: A B C A B C …, so that whatever slows the machine slows all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from benchmarks.contenders import Contender

# Short turns: what is compared is measured within seconds of each other, and often.
TURN_SECONDS = 1


def that_fit(seconds: int, contenders: int) -> int:
    """How many rounds of turns fit into ``seconds``; one at least."""
    return max(1, seconds // (TURN_SECONDS * contenders))


def interleave(
    contenders: Mapping[str, Contender],
    *,
    rounds: int,
    commit: str = "on",
    say: Callable[[str], None] = print,
) -> dict[str, list[float]]:
    """Measure all of them in turn; every other round goes backwards."""
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds):
        for name in list(contenders)[:: 1 if number % 2 == 0 else -1]:
            rates[name].append(contenders[name].rate(TURN_SECONDS, commit=commit))
        say(f"Round {number + 1} of {rounds} with synchronous_commit = {commit}")
    return rates
