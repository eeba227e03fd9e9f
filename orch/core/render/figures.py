"""Figures for people: durations, tokens, money, moments, short object ids. The same in every language.

Rule: total; a figure that makes no sense (negative, not a number) is shown as zero rather than raised over.
"""

import math
from datetime import UTC, datetime

from orch.core.ids import Sha
from orch.core.model import Usage

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def render_duration(seconds: float) -> str:
    """Return a duration in its two largest units: ``45 s``, ``2 m 5 s``, ``1 h 3 m``, ``2 d 4 h``."""
    left = round(seconds) if math.isfinite(seconds) and seconds > 0 else 0
    for index, (size, unit) in enumerate(_UNITS[:-1]):
        if left >= size:
            smaller, smaller_unit = _UNITS[index + 1]
            rest = left % size // smaller
            return f"{left // size} {unit}" + (f" {rest} {smaller_unit}" if rest else "")
    return f"{left} s"


def render_tokens(n: int) -> str:
    """Return a count of tokens: ``999``, ``12.3k``, ``1.2M``."""
    if n < 1_000:
        return str(max(n, 0))
    if n < 999_950:
        return f"{n / 1_000:.1f}k"
    return f"{n / 1_000_000:.1f}M"


def render_cost(usd: float) -> str:
    """Return money: ``$0.00``, ``$0.0042`` below a cent, ``$1,234.50``."""
    if not math.isfinite(usd) or usd <= 0:
        return "$0.00"
    return f"${usd:.4f}" if usd < 0.01 else f"${usd:,.2f}"


def render_moment(at: datetime) -> str:
    """Return a moment to the minute, in UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def short_sha(sha: Sha) -> str:
    """Return the first twelve digits of an object id."""
    return sha[:12]


def tokens_in(usage: Usage) -> int:
    """Return the input that people are shown: fresh, read from the cache and written to it."""
    return usage.input + usage.cache_read + usage.cache_creation


def tokens_cached(usage: Usage) -> int:
    """Return the part of the shown input that was read from the cache."""
    return usage.cache_read
