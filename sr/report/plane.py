"""The plane of distortion and perception (Blau and Michaeli, CVPR 2018): PSNR against the distance of VGG features."""

import math

import matplotlib as mpl
from matplotlib.figure import Figure

from sr.plots import COLOURS, STYLE
from sr.report.contents import Contents

KEY = "vgg54"
MARKERS = "os^D"  # the next one when all colours are taken


def draw_plane(contents: Contents) -> Figure:
    """A panel for each set, a point for each method but the originals, whose PSNR is infinite.

    To the right is less distortion, below are features more like the originals'.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.9 * len(contents.sets) + 1.6, 4.2), layout="constrained")
        for axes, images in zip(figure.subplots(1, len(contents.sets), squeeze=False)[0], contents.sets, strict=True):
            cells = contents.results["standard"][images.name]
            points = {name: (c["psnr"], c[KEY]) for name, c in cells.items() if math.isfinite(c["psnr"])}
            for i, (name, (x, y)) in enumerate(points.items()):
                colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i // len(COLOURS) % len(MARKERS)]
                axes.plot(x, y, marker, color=colour, markersize=7, label=contents.titles[name])
            axes.set(title=images.name, xlabel="PSNR / dB (standard protocol)")
            axes.margins(0.08)
        figure.axes[0].set_ylabel(f"{contents.measures[KEY][0]} distance")
        handles, titles = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, titles, loc="outside right center")
    return figure
