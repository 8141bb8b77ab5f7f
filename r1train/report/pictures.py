"""The line charts of `figures` as one SVG file, the same bytes for the same run.

On a white card, which is legible on a light page and on a dark one. Text stays text, so that files are small.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1rewards.core.errors import UserError
from r1rewards.core.store import replacing
from r1train.report.figures import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: The page's light theme: tones with their markers and dashes, ink, and rules.
TONES = ("#0b62a8", "#c25400", "#007d63", "#9b3f87", "#8a6a00", "#3f4fb8", "#a32a3c", "#4d5964")
MARKERS = "osD^XvPh"
DASHES = ("-", "--", ":", "-.", (0, (8, 2)), (0, (5, 1, 1, 1)), "-", "--")
SOFT, RULE = "#5a646e", "#e1e4e8"

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "r1kit",  # ids of clip paths and markers are random without it
    "text.parse_math": False,  # a dollar in a name is a dollar
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelcolor": SOFT,
    "axes.edgecolor": RULE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": RULE,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.4,
    "lines.markersize": 2.5,
}

COLUMNS = 3
WIDTH, HEIGHT = 3.2, 2.3  # of one chart, in inches


def write_picture(figures: Sequence[Figure], path: Path) -> None:
    """Draw the figures side by side, three to a row, into an SVG file.

    Raises UserError where matplotlib is not installed or the file cannot be written.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure as Canvas
    except ImportError:
        raise UserError(
            "matplotlib, which draws the pictures, is missing; pip install 'r1kit[docs]'"
        ) from None

    columns = min(COLUMNS, len(figures))
    rows = -(-len(figures) // columns)
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever the reader's own matplotlibrc says
        matplotlib.rcParams.update(STYLE)
        canvas = Canvas(figsize=(WIDTH * columns, HEIGHT * rows), layout="constrained", facecolor="white")
        axes = canvas.subplots(rows, columns, squeeze=False).flat
        for axis, figure in zip(axes, figures, strict=False):
            _draw(axis, figure)
        for axis in list(axes)[len(figures) :]:
            axis.remove()
        with replacing(path) as part:
            canvas.savefig(part, format="svg", metadata={"Date": None, "Creator": None})


def _draw(axis: Axes, figure: Figure) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    axis.set_title(figure.title)
    axis.set_xlabel(figure.layout["xaxis"]["title"]["text"])
    axis.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    if figure.layout["yaxis"]["tickformat"].endswith("%"):
        axis.yaxis.set_major_formatter(PercentFormatter(1))
    for trace in figure.traces:
        tone = trace["tone"] % len(TONES)
        if trace.get("fill"):
            axis.fill(trace["x"], trace["y"], color=TONES[tone], alpha=0.15, linewidth=0)
            continue
        axis.plot(
            trace["x"],
            trace["y"],
            color=TONES[tone],
            linestyle=DASHES[tone],
            marker=MARKERS[tone],
            markevery=max(1, len(trace["x"]) // 8),
            label=html.unescape(trace["name"]),  # escaped for Plotly
        )
    for line in figure.layout["shapes"]:
        axis.axvline(line["x0"], color=SOFT, linewidth=0.8, linestyle=":")
    if figure.layout["showlegend"]:
        axis.legend()
