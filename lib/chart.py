"""The geometry of a small bar chart, for SVG drawn on the server."""

from dataclasses import dataclass

SLOT = 10  # width of one bar with its gap, in units of the viewBox
GAP = 4
HEIGHT = 100
LEAST = 2  # a bar one can see


@dataclass(frozen=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    value: float


def bars(values):
    """Return ``(bars, zero)``: one bar a value, and where the axis is.

    Negative values hang below the axis. A value of nought has no bar.
    """
    top, bottom = max(0, *values), min(0, *values)
    span = (top - bottom) or 1
    zero = HEIGHT * (top / span) if top or bottom else HEIGHT
    drawn = []
    for index, value in enumerate(values):
        height = max(HEIGHT * abs(value) / span, LEAST) if value else 0
        y = zero - height if value > 0 else zero
        drawn.append(
            Bar(
                x=index * SLOT + GAP / 2,
                y=round(min(max(y, 0), HEIGHT - height), 2),
                width=SLOT - GAP,
                height=round(height, 2),
                value=value,
            )
        )
    return drawn, round(zero, 2)
