"""Numbers in messages, as people write them."""

from __future__ import annotations


def format_percent(fraction: float, *, digits: int = 2) -> str:
    """Return a fraction in percent with so many significant digits, never as `1e+02 %`."""
    percent = 100 * fraction
    text = f"{percent:.{digits}g}"
    return f"{percent:.0f} %" if "e+" in text else f"{text} %"
