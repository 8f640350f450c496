"""What int8 costs against what it saves, as a table and a figure."""

from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path

import matplotlib as mpl
import pandas as pd
import torch
from matplotlib.figure import Figure

from sr.card import command_line
from sr.files import write_atomically
from sr.plots import COLOURS, GREY, STYLE, write
from sr.quantize import DIFFERENCE, LOSS, Point
from sr.runtimes.int8 import MAX_LOSS
from sr.speed.machine import describe
from sr.tables import markdown_table


def write_report(measured: Mapping[str, Sequence[Point]], output: Path) -> None:
    """`output` with .csv, .md and .png. measured: by the weights' name, fp32 first (`sr.quantize.quantise`)."""
    table = pd.DataFrame([_row(name, points, point) for name, points in measured.items() for point in points])
    text = StringIO()
    table.to_csv(text, index=False, float_format="%.6g")
    for suffix, content in ((".csv", text.getvalue()), (".md", _markdown(table))):
        write_atomically(
            output.with_suffix(suffix), lambda file, content=content: file.write_text(content, encoding="utf-8")
        )
    write(_figure(table), output.with_suffix(".png"))


def _row(name: str, points: Sequence[Point], point: Point) -> dict[str, object]:
    exact = points[0]
    lost = {f"lost_{kind}_db": exact.psnr[kind] - value for kind, value in point.psnr.items()}
    return {
        "weights": name,
        "in_fp32": "all" if point.ranges is None else " ".join(point.kept) or "none",
        "us_per_lr_pixel": point.seconds * 1e6,
        "speed": exact.seconds / point.seconds,
        **lost,
        "rms_levels": point.rms,
        "largest_levels": point.largest,
    }


def _markdown(table: pd.DataFrame) -> str:
    kinds = [column for column in table if column.startswith("lost_")]
    header = ["weights", "in fp32", "CPU µs an LR pixel", "speed"]
    header += [f"dB lost, {column.removeprefix('lost_').removesuffix('_db')}" for column in kinds]
    header += ["difference, rms", "largest"]
    rows = [
        [row["weights"], row["in_fp32"], f"{row['us_per_lr_pixel']:.1f}", f"{row['speed']:.2f}"]
        + [f"{row[column]:.3f}" for column in kinds]
        + [f"{row['rms_levels']:.2f}", f"{row['largest_levels']:.0f}"]
        for row in table.to_dict("records")
    ]
    machine = describe(torch.device("cpu"))["device"]
    notes = (
        "Speed is relative to fp32, both in OpenVINO, as CPU time of alternating runs. PSNR is that of the protocol "
        "*standard*; the difference from fp32 is in levels of 255, on the crops. The crops are of training images, but "
        f"not those whose ranges were taken; the settings are the first row in int8 of at most {LOSS} dB and "
        f"{DIFFERENCE} levels there."
    )
    return f"# int8\n\n{machine}.\n\n{markdown_table(header, rows, words=2)}\n\n{notes}\n\n`{command_line()}`\n"


def _figure(table: pd.DataFrame) -> Figure:
    names = list(table["weights"].unique())
    kinds = [column for column in table if column.startswith("lost_")]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.9 * len(names), 3.2), layout="constrained")
        for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
            of_name = table[table["weights"] == name]
            for kind, colour in zip(kinds, COLOURS, strict=False):
                label = kind.removeprefix("lost_").removesuffix("_db")
                axes.plot(of_name["speed"], of_name[kind], "o", color=colour, label=label)
            axes.axhline(MAX_LOSS, color=GREY, linewidth=0.8, linestyle="--")
            axes.set(title=name, xlabel="Speed relative to fp32", ylabel="PSNR lost (dB)")
        axes.legend()
    return figure
