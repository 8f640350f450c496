"""The plane of distortion and perception (Blau and Michaeli, CVPR 2018): PSNR against the distance of VGG features."""

import math

import matplotlib as mpl
from matplotlib.figure import Figure

from sr.plots import COLOURS, GREY, STYLE
from sr.report.contents import Contents

KEY = "vgg54"


def draw_plane(contents: Contents) -> Figure:
    """A panel for each set, a point for each method but the originals, whose PSNR is infinite.

    To the right is less distortion, downwards (the axis is turned round) are features more like the originals'.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.2 * len(contents.sets), 4.4), layout="constrained")
        for axes, images in zip(figure.subplots(1, len(contents.sets), squeeze=False)[0], contents.sets, strict=True):
            cells = contents.results["standard"][images.name]
            points = {name: (c["psnr"], c[KEY]) for name, c in cells.items() if math.isfinite(c["psnr"])}
            for i, (x, y) in enumerate(points.values()):
                axes.plot(x, y, "o", color=COLOURS[i % len(COLOURS)], markersize=6)
            _label(axes, {contents.titles[name]: place for name, place in points.items()})
            axes.set(title=images.name, xlabel="PSNR / dB (standard protocol): more is less distortion")
            axes.margins(0.14, 0.08)
        first = figure.axes[0]
        first.set_ylabel(f"{contents.measures[KEY][0]} distance: less is more like the original")
    return figure


def _label(axes: mpl.axes.Axes, points: dict[str, tuple[float, float]]) -> None:
    """Names beside their points, moved apart where they would lie on each other."""
    axes.figure.draw_without_rendering()  # the scales are known only then
    axes.autoscale_view()
    to_pixels = axes.transData.transform
    taken: list[float] = []
    middle = sum(x for x, _ in points.values()) / max(len(points), 1)
    for title, (x, y) in sorted(points.items(), key=lambda item: item[1][1]):
        height = to_pixels((x, y))[1]
        wanted = height
        while any(abs(wanted - other) < 13 for other in taken):
            wanted += 1
        taken.append(wanted)
        right = x <= middle
        axes.annotate(
            title,
            (x, y),
            xytext=(9 if right else -9, (wanted - height) * 72 / axes.figure.dpi),
            textcoords="offset points",
            ha="left" if right else "right",
            va="center",
            color=GREY,
            fontsize=8,
        )
