"""What all diagrams share: colours, style, and files that come out the same for the same figure."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from sr.errors import SRError
from sr.files import write_atomically

# Okabe and Ito's palette, which colour-blind readers tell apart, without its yellow, too pale for lines on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
GREY = "#555555"

STYLE = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.5,
    "axes.formatter.limits": (-9, 9),  # plain decimals: a factor above the axes would collide with the title
    "axes.formatter.useoffset": False,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "legend.handlelength": 1.8,
    "legend.columnspacing": 1.2,
    "svg.hashsalt": "sr",  # instead of a random one: the same curves are the same file
}


def write(figure: Figure, path: Path) -> None:
    """Writes a figure as PNG or SVG, the same bytes for the same figure.

    Raises SRError for another suffix and when the file cannot be written.
    """
    kind = path.suffix.lower()
    if kind not in (".png", ".svg"):
        raise SRError(f"{path} must end in .png or .svg")
    metadata = {"Software": None} if kind == ".png" else {"Date": None}
    try:
        with mpl.rc_context(STYLE):
            write_atomically(path, lambda file: figure.savefig(file, format=kind[1:], dpi=110, metadata=metadata))
    except OSError as error:
        raise SRError(f"{path} cannot be written: {error.strerror or error}") from error
