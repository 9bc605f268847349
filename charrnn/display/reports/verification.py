"""What ``verify`` has found, in lines."""

from collections.abc import Mapping, Sequence

from charrnn.display.terminal import numbers


def spans(parts: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges of steps (first, last) in order; ranges that touch are joined."""
    found: list[tuple[int, int]] = []
    for first, last in sorted((first, last) for first, last in parts if first < last):
        if found and first <= found[-1][1]:
            found[-1] = found[-1][0], max(last, found[-1][1])
        else:
            found.append((first, last))
    return found


def verified_line(parts: Sequence[tuple[int, int]], steps: int) -> str:
    """Which ranges of a run of so many steps are verified: ``verified: steps 0-400 of 20,000 (2 %)``."""
    joined = spans(parts)
    if not joined:
        return f"verified by training again: none of {steps:,} steps"
    if joined == [(0, steps)]:
        return f"verified: all {steps:,} steps"
    share = sum(last - first for first, last in joined) / steps
    named = ", ".join(f"{first:,}-{last:,}" for first, last in joined)
    return f"verified: steps {named} of {steps:,} ({100 * share:.0f} %)"


def missed_line(segments: int, missed: Mapping[int, float]) -> str:
    """How likely it is that edits were missed; ``missed`` has the probability by the number of edited segments."""
    parts = [f"{_of(count, segments)} with a probability of {_percent(value)}" for count, value in missed.items()]
    listed = ", ".join(parts[:-1]) + f", and {parts[-1]}" if parts[1:] else parts[0]
    return f"Training these segments again would have missed an edit in {listed}."


def _of(count: int, segments: int) -> str:
    return f"{count:,} of the {segments:,} segments" if count == 1 else f"{count:,}"


def _percent(value: float) -> str:
    if 0 < value < 0.01:
        return "less than 1 %"
    return f"{100 * value:.0f} %"


def segment_line(name: str, seconds: float) -> str:
    """A segment that was found to be equal."""
    return f"{name}: trained again in {numbers.duration(seconds)}, equal in every byte and digit"
