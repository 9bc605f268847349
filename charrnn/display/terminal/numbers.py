"""Numbers written for people: 12,345 · 865 k · 3 m 12 s · 1.7342."""

import math


def count(number: int) -> str:
    """An exact number: 12,345."""
    return f"{number:,}"


def ordinal(number: int) -> str:
    """A place in an order: 1st, 2nd, 3rd, 4th, 11th, 21st."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{ending}"


def short(number: float) -> str:
    """A number to three digits with its unit prefix: 87, 4.35 k, 865 k, 1.02 M."""
    if not math.isfinite(number):
        return str(number)
    if number < 1000 and float(number).is_integer():
        return str(int(number))
    for unit in ("", " k", " M", " G"):
        digits = f"{number:#.3g}".rstrip(".")
        # 999.6 is "1.00e+03" to three digits: use the next prefix.
        if float(digits) < 1000:
            return digits + unit
        number /= 1000
    return f"{number:#.3g}".rstrip(".") + " T"


def duration(seconds: float) -> str:
    """A time span: 0.8 s, 12 s, 3 m 12 s, 2 h 05 m, 3 d 04 h."""
    if not math.isfinite(seconds):
        return str(seconds)
    return f"{max(seconds, 0.0):.1f} s" if seconds < 9.95 else clock(seconds)


def clock(seconds: float) -> str:
    """A time span in whole seconds, for a clock that runs: 12 s, 3 m 12 s, 2 h 05 m."""
    whole = round(max(seconds, 0.0))
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days} d {hour:02} h"
    if hours:
        return f"{hours} h {minute:02} m"
    return f"{minutes} m {second:02} s" if minutes else f"{second} s"


def loss(nats: float | None) -> str:
    """A loss in nats: 1.7342; a dash for None."""
    return "–" if nats is None else f"{nats:.4f}"


def bpc(bits: float | None) -> str:
    """Bits per character: 2.502; a dash for None."""
    return "–" if bits is None else f"{bits:.3f}"


def learning_rate(rate: float) -> str:
    """A learning rate in at most eight characters: 0.002, 1.25e-04."""
    return f"{rate:.3g}" if rate == 0 or rate >= 1e-4 else f"{rate:.2e}"


def percent(part: float) -> str:
    """A part (0 to 1) of a whole: 52 %. It rounds down: 100 % means the end."""
    return f"{min(max(math.floor(part * 100 + 1e-9), 0), 100)} %"


def memory(size: int) -> str:
    """A number of bytes: 12.3 MB."""
    return f"{size / 1e6:,.1f} MB" if size < 1e9 else f"{size / 1e9:,.2f} GB"


def characters(number: int) -> str:
    """A number of characters: 1 character, 1,234 characters."""
    return f"{number:,} character{'' if number == 1 else 's'}"


def round_step(rough: float) -> float:
    """The step between ticks of an axis: 1, 2, 2.5 or 5 times a power of 10, and ``rough`` or a little more."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough)


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round values from ``low`` to ``high``, about ``most`` or fewer."""
    step = round_step((high - low) / max(most, 1))
    return [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def attention(heads: int, context: int) -> str:
    """The attention of a Transformer: 4 heads, context 64."""
    return f"{heads} head{'s' * (heads > 1)}, context {context:,}"
