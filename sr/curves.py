"""Training curves: what runs logged, against the patches that they had seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, LogFormatter

from sr.errors import SRError
from sr.plots import COLOURS, GREY, STYLE
from sr.tracking import COLUMNS, whole_lines

STYLES = ("-", "--", ":")


@dataclass(frozen=True)
class Panel:
    """One diagram. columns: of the log, with what the legend calls each, at most as many as `STYLES`."""

    title: str
    columns: dict[str, str]
    log_scale: bool = False
    shows: tuple[float, ...] = ()  # values that the axis reaches in any case
    smoothed: bool = True  # noisy figures get a rolling median over what was logged


PANELS = (
    Panel("Validation PSNR (dB)", {"psnr_standard": "PSNR"}, smoothed=False),
    Panel("Content and pixel loss", {"content": "content", "pixel": "pixel"}, log_scale=True),
    Panel("Other terms", {"chroma": "chroma", "colour": "colour", "grid": "grid"}, log_scale=True),
    Panel("GAN losses", {"adversarial": "generator", "discriminator": "discriminator"}),
    Panel(
        "Discriminator",
        {"d_accuracy": "accuracy", "d_real": "D(HR)", "d_fake": "D(SR)"},
        shows=(0, 1),
    ),
    Panel("Gradient norm", {"grad_norm_g": "generator", "grad_norm_d": "discriminator"}, log_scale=True),
    Panel("Colour shift (1/255)", {"colour_shift": "colour shift"}),
    Panel("Learning rate", {"lr": "learning rate"}, smoothed=False),
    Panel("Patches per second", {"patches_per_s": "patches/s"}, shows=(0,)),
)


def read_runs(runs: Sequence[Path]) -> dict[str, pd.DataFrame]:
    """The logs of training runs by the runs' names, in their order.

    runs: run folders, or log files. A run is called after its folder, a log of another name than `log.csv` after
        itself; where names coincide, by the path as it was given.
    Raises SRError for a file that is missing, is no training log or has no row, and for more runs than `COLOURS`.
    """
    if len(runs) > len(COLOURS):
        raise SRError(f"{len(runs)} runs are too many for one figure; give at most {len(COLOURS)}")
    logs = {run: run / "log.csv" if run.is_dir() else run for run in runs}
    names = [log.resolve().parent.name if log.name == "log.csv" else log.stem for log in logs.values()]
    return {
        name if names.count(name) == 1 else str(run): _read_log(log)
        for (run, log), name in zip(logs.items(), names, strict=True)
    }


def _read_log(log: Path) -> pd.DataFrame:
    try:
        lines = whole_lines(log)
    except OSError as error:
        raise SRError(f"{log} cannot be read ({error.strerror}); give a run's folder or its log.csv") from error
    header = lines[0].split(",") if lines else []
    missing = [name for name in ("step", "patches") if name not in header]
    if missing:
        raise SRError(f"{log} is not a training log: it has no column {' or '.join(missing)}")
    try:
        table = pd.read_csv(StringIO("\n".join(lines)), usecols=lambda name: name in COLUMNS, dtype=float)
    except ValueError as error:
        raise SRError(f"{log} is not a training log: {error}") from error
    if table.empty:
        raise SRError(f"{log} has no row yet; wait until the run has logged its first steps")
    return table


class _PlainLogFormatter(LogFormatter):
    """Labels the ticks that LogFormatter would label, as plain decimals."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""


def draw(runs: dict[str, pd.DataFrame]) -> Figure:
    """One figure of every panel for which there are figures. With several runs the colour tells the run.

    runs: as `read_runs` gives them. Noisy figures are shown as a rolling median over 1/40 of a run's rows, which keeps
    single outliers out and steps sharp; of a single run, what was logged is a faint line behind it.
    Raises SRError when there is nothing to draw.
    """
    panels = [panel for panel in PANELS if any(_has(log, name) for log in runs.values() for name in panel.columns)]
    if not panels:
        raise SRError(f"{' and '.join(runs)} logged no figure that could be drawn")
    across = min(len(panels), 2 if len(panels) <= 4 else 3)
    down = -(-len(panels) // across)
    end = max(log["patches"].max() for log in runs.values())
    with mpl.rc_context(STYLE):
        figure = Figure(
            figsize=(3.9 * across, 2.6 * down + 0.6), layout=ConstrainedLayoutEngine(h_pad=0.08, w_pad=0.06)
        )
        for i, panel in enumerate(panels):
            axes = figure.add_subplot(down, across, i + 1)
            _draw_panel(axes, panel, runs)
            axes.set_xlim(-0.02 * end, 1.02 * end)
        if len(runs) > 1:
            keys = [Line2D([], [], color=colour, label=name) for name, colour in zip(runs, COLOURS, strict=False)]
            figure.legend(handles=keys, loc="outside upper center", ncols=min(len(runs), 4), fontsize=9)
        else:
            figure.suptitle(next(iter(runs)))
        lines = "rolling median over 1/40 of the run" + ("" if len(runs) > 1 else ", faint: as logged")
        figure.supxlabel(f"patches seen ({lines})", fontsize=9)
    return figure


def _has(log: pd.DataFrame, column: str) -> bool:
    return column in log and bool(log[column].notna().any())


def _draw_panel(axes: Axes, panel: Panel, runs: dict[str, pd.DataFrame]) -> None:
    """A run is told by the line's colour and a column by its style; with a single run, a column by the colour."""
    several = len(runs) > 1
    styles = STYLES if several else ("-",) * len(STYLES)
    shown = [name for name in panel.columns if any(_has(log, name) for log in runs.values())]
    for i, log in enumerate(runs.values()):
        for j, name in enumerate(shown):
            if _has(log, name):
                look = {"color": COLOURS[i if several else j], "linestyle": styles[j]}
                _draw_line(axes, log.dropna(subset=[name]), name, panel.smoothed, not several, look)
    axes.set_title(panel.title, loc="left")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    if panel.log_scale:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(_PlainLogFormatter())
        axes.yaxis.set_minor_formatter(_PlainLogFormatter())
    axes.update_datalim([(0, y) for y in panel.shows])
    axes.autoscale_view()
    if len(panel.columns) > 1:
        keys = [
            Line2D([], [], color=GREY if several else COLOURS[j], linestyle=styles[j], label=panel.columns[name])
            for j, name in enumerate(shown)
        ]
        # Beside the title, where it hides no line.
        axes.legend(handles=keys, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0, ncols=len(keys))


def _draw_line(
    axes: Axes, points: pd.DataFrame, column: str, smoothed: bool, with_raw: bool, look: dict[str, str]
) -> None:
    patches, values = points["patches"], points[column]
    window = len(points) // 40
    if smoothed and window > 1:
        if with_raw:
            axes.plot(patches, values, linewidth=0.7, alpha=0.25, **look)
        values = values.rolling(window, center=True, min_periods=1).median()
    # Few points are marked: without a mark a single one would not be seen.
    axes.plot(patches, values, linewidth=1.4, marker="o" if len(points) <= 30 else None, markersize=3, **look)
