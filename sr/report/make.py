"""From methods and benchmark sets to a report's folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from tqdm import tqdm

from sr.benchmark import BenchmarkSet
from sr.errors import SRError
from sr.evaluate import measure
from sr.figure import Crop, draw_row, draw_rows, stack
from sr.images import read_rgb_array
from sr.measures import LPIPS, Blur, Measure
from sr.report.contents import Contents
from sr.report.seconds import seconds_per_megapixel
from sr.report.sheets import Sheets
from sr.report.write import write_report
from sr.sources import HR, Enlarged, Source

SHOWN = ("bicubic", "srresnet", "srgan")  # in the figure, as in the paper's
PANEL, ZOOM = (150, 110), 2  # HR pixels, figure pixels a HR pixel


def make_report(
    folder: Path,
    sets: Sequence[BenchmarkSet],
    sources: Sequence[Source],
    vgg: Measure | None,
    crops: Sequence[tuple[Path, Crop | None]],
    untrained: Sequence[str],
    provenance: Mapping[str, Any],
) -> Contents:
    """Measures everything in both protocols and writes the report (see `sr.report.write`).

    vgg: the distance of VGG features. crops: of HR images, for the figure; none: the middle of each set's first image.
    untrained: methods that come without weights, which get a row that says so. provenance: goes into the JSON files; of
    it "device", "versions" and "weights" say for what times of an earlier report still hold.
    """
    measures: list[Measure] = [vgg] if vgg else []
    unmeasured = {} if vgg else {"VGG54": "no VGG weights were given (--vgg)"}
    try:
        measures.append(LPIPS(torch.device("cpu")))
    except SRError as error:
        unmeasured["LPIPS"] = str(error)
    measures.append(Blur())
    seconds = seconds_per_megapixel(sources, sets[0], folder / "seconds.json", provenance)
    sheets = Sheets()
    results = measure(sets, sources, measures=measures, show=sheets, progress=True)
    contents = Contents(
        sets=sets,
        results=results,
        titles={source.name: source.title for source in sources},
        measures={one.key: (one.title, one.description) for one in measures},
        seconds=seconds,
        provenance=provenance,
        unmeasured=unmeasured,
        unavailable=dict.fromkeys(untrained, "not trained"),
    )
    write_report(contents, sheets, _figure(sets, sources, crops), folder)
    return contents


def _figure(
    sets: Sequence[BenchmarkSet], sources: Sequence[Source], crops: Sequence[tuple[Path, Crop | None]]
) -> Image.Image:
    by_name = {source.name: source for source in sources}
    shown = [name for name in SHOWN if name in by_name] or [name for name in by_name if name != HR]
    upscalers = [by_name[name].upscaler for name in shown if isinstance(by_name[name], Enlarged)]
    if crops:
        with tqdm(total=len(crops) * len(upscalers), desc="figure", unit="image") as bar:
            return draw_rows(crops, upscalers, ZOOM, lambda name: bar.update())
    rows = []
    for images in sets:
        image = images.images[0]
        lr, hr = read_rgb_array(image.lr), read_rgb_array(image.hr)
        width, height = min(PANEL[0], hr.shape[1]), min(PANEL[1], hr.shape[0])
        middle = ((hr.shape[1] - width) // 2, (hr.shape[0] - height) // 2, width, height)
        restored = {name: by_name[name].picture(images.name, image, lr, hr) for name in shown}
        rows.append(draw_row(hr, restored, middle, ZOOM))
    return stack(rows)
