"""What a run-book delivers: weights, figures of the new and the shipped ones, curves, pictures and a summary."""

import json
import math
import platform
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image

import sr
from sr.benchmark import BenchmarkSet
from sr.card import command_line
from sr.checkpoint import hardware
from sr.curves import draw, read_runs
from sr.evaluate import evaluate, means, write_json
from sr.figure import draw_row, stack
from sr.files import write_atomically, write_text
from sr.images import read_rgb_array, write_png
from sr.losses import VGGLoss
from sr.measures import VGGDistance
from sr.methods import load
from sr.plots import write
from sr.run import Resources
from sr.runbook.book import Book
from sr.runbook.summary import as_markdown
from sr.tracking import whole_lines

RECORDS = ("run-book.json", "summary.json", "figures.json", "*/log.csv", "*/config.yaml", "srgan/srgan.*")
PICTURES = 6  # rows of samples.png, about, over all sets
CROP, ZOOM = (150, 110), 2  # HR pixels, figure pixels a HR pixel


def collect(out: Path, results: dict[str, Path]) -> None:
    """Copies weights and their cards into `out`/deliver and packs the records of all stages into records.zip there.

    results: weights by the network's name. The folder never holds more than eight files, because some rented
    machines give back no more: srresnet and srgan (.safetensors and .json), samples.png, curves.png, summary.md,
    records.zip. In the last one are all logs and configurations, summary.json, every image's figures, and SRGAN's
    weights before they were blended.
    """
    folder = out / "deliver"
    for file in (file for weights in results.values() for file in (weights, weights.with_suffix(".json"))):
        write_atomically(folder / file.name, lambda temporary, file=file: shutil.copyfile(file, temporary))
    records = sorted(file for pattern in RECORDS for file in out.glob(pattern))
    write_atomically(folder / "records.zip", lambda temporary: _zip(records, out, temporary))


def _zip(files: list[Path], root: Path, path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, file.relative_to(root))


def write_report(book: Book, results: dict[str, Path], resources: Resources, vgg54: VGGLoss) -> None:
    """Measures the delivered weights on all sets, writes that into their cards, and fills OUT/deliver.

    results: the weights of "srresnet" and, unless it diverged, "srgan".
    """
    out, device = book.order.out, str(resources.device)
    measured = evaluate(
        resources.benchmark,
        resources.sets,
        list(results),
        weights=results,
        measures=[VGGDistance(vgg54)],
        device=device,
        progress=True,
    )
    figures = means(measured)
    for name, path in results.items():
        card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        write_json(path.with_suffix(".json"), card | {"metrics": figures[name]})
    write_json(out / "figures.json", measured)
    write_png(_samples(results, resources), out / "deliver" / "samples.png")
    stages = book.state["stages"]
    logs = read_runs([log for name in stages if len(whole_lines(log := out / name / "log.csv")) > 1])
    write(draw(logs), out / "deliver" / "curves.png")
    summary = _summary(book, figures, logs, resources) | {"vgg54": vgg54.description}
    write_json(out / "summary.json", summary)
    text = as_markdown(summary)
    write_text(out / "deliver" / "summary.md", text)
    collect(out, results)


def _samples(weights: dict[str, Path], resources: Resources) -> Image.Image:
    """The middle of some images, evenly spread over every set: bicubic, what was trained, and the original."""
    methods, device = ("bicubic", *weights), str(resources.device)
    upscalers = [
        load(name, device=device, precision="fp32", runtime="torch", weights=weights.get(name)) for name in methods
    ]
    rows = []
    for name in resources.sets:
        images = BenchmarkSet(resources.benchmark, name).images
        count = min(len(images), math.ceil(PICTURES / len(resources.sets)))
        for place in np.linspace(0, len(images) - 1, count).astype(int):
            lr, hr = read_rgb_array(images[place].lr), read_rgb_array(images[place].hr)
            width, height = min(CROP[0], hr.shape[1]), min(CROP[1], hr.shape[0])
            middle = ((hr.shape[1] - width) // 2, (hr.shape[0] - height) // 2, width, height)
            rows.append(draw_row(hr, {method.name: method.upscale(lr) for method in upscalers}, middle, ZOOM))
    return stack(rows)


def _summary(
    book: Book, figures: dict[str, Any], logs: dict[str, pd.DataFrame], resources: Resources
) -> dict[str, Any]:
    """Plain values: what was done, how fast, and how good the results are ("metrics", as in their cards)."""
    stages = []
    for name, record in book.state["stages"].items():
        # A stage that diverged early logged nothing.
        last = logs[name].iloc[-1] if name in logs else {"step": 0, "patches": 0, "seconds": 0}
        facts = {"name": name, "outcome": record["outcome"], "steps": int(last["step"])}
        stages.append(facts | {"patches": int(last["patches"]), "seconds": float(last["seconds"])})
    return {
        "command": command_line(),
        "device": hardware(resources.device),
        "versions": {"sr": sr.__version__, "torch": torch.__version__, "python": platform.python_version()},
        "images": len(resources.images),
        "megapixels": round(resources.images.pixels / 1e6),
        "minutes": book.order.minutes,
        "seconds": round(book.seconds),
        "throughput": book.state["check"]["throughput"],
        "matmul_tflops": book.state["check"].get("matmul_tflops"),
        "stages": stages,
        "metrics": figures,
        "references": book.state["check"]["metrics"],
    }
