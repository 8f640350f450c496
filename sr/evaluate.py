"""Measure methods on benchmark sets: PSNR, SSIM and, if asked, other measures (`sr.measures`)."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from sr.benchmark import BenchmarkImage, BenchmarkSet
from sr.errors import SRError
from sr.files import write_text
from sr.images import read_rgb_array
from sr.measures import Measure
from sr.metrics import psnr, ssim
from sr.paper import PAPER
from sr.protocols import PROTOCOLS
from sr.sources import Source, open_source
from sr.tables import markdown_table

# {SET: {METHOD: {"psnr": mean, "ssim": mean, "images": {NAME: {"psnr": ..., "ssim": ...}}}}}
Results = dict[str, dict[str, dict]]

Show = Callable[[str, str, str, np.ndarray], None]
"""Gets every picture: set, image, method, uint8 (H, W, 3)."""


def evaluate(
    benchmark: Path | str,
    sets: Sequence[str],
    methods: Sequence[str],
    *,
    protocols: Sequence[str] = PROTOCOLS,
    device: str = "auto",
    weights: Mapping[str, Path] | None = None,
    measures: Sequence[Measure] = (),
    progress: bool = False,
) -> dict[str, Results]:
    """`measure` of everything in some sets.

    benchmark: folder with SET/HR/*.png and SET/LRx4/*.png (see `sr.benchmark`).
    methods, device, weights: see `open_sources`.
    Raises SRError, before anything is computed, for an unknown method or set, unusable images or weights.
    """
    sources = open_sources(methods, device, weights)
    return measure(
        open_sets(benchmark, sets, sources), sources, protocols=protocols, measures=measures, progress=progress
    )


def open_sources(
    methods: Sequence[str], device: str = "auto", weights: Mapping[str, Path] | None = None
) -> list[Source]:
    """What `methods` name, each once: methods of `sr.methods.METHODS`, "hr", or folders (`sr.sources.open_source`).

    device: as for `sr.load`. weights: method -> safetensors file to use instead of the shipped one.
    Raises SRError for an unknown method, unusable weights, weights of no method of these, and two of one name.
    """
    weights = weights or {}
    unused = [name for name in weights if name not in methods]
    if unused:
        raise SRError(f"weights are given for {', '.join(unused)}, but the methods are {', '.join(methods)}")
    sources = [open_source(text, device, weights) for text in dict.fromkeys(methods)]
    names = [source.name for source in sources]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise SRError(f"two folders of pictures are called {', '.join(repeated)}; name them with NAME=folder:PATH")
    return sources


def open_sets(
    benchmark: Path | str, sets: Sequence[str], sources: Sequence[Source], skip_unusable: bool = False
) -> list[BenchmarkSet]:
    """Benchmark sets of which every source has every picture, checked.

    skip_unusable: an image that one source lacks is left out for all (`BenchmarkSet.skipped` says which and why), so
        that means compare; otherwise it is an SRError.
    """
    opened = [BenchmarkSet(benchmark, name, skip_unusable) for name in dict.fromkeys(sets)]
    for images in opened:
        for source in sources:
            images.leave_out(source.check(images))
    return opened


def measure(
    sets: Sequence[BenchmarkSet],
    sources: Sequence[Source],
    *,
    protocols: Sequence[str] = PROTOCOLS,
    measures: Sequence[Measure] = (),
    show: Show | None = None,
    progress: bool = False,
) -> dict[str, Results]:
    """Every image of the sets by every source, once, measured in every protocol.

    measures: add a figure each, by its key, the same in every protocol.
    progress: show a progress bar on stderr.
    Returns {protocol: {SET: {METHOD: {"psnr": mean, "ssim": mean, "images": {NAME: {"psnr": dB, "ssim": ...}}}}}};
        means are over the images of the set. PSNR is math.inf where the lumas are equal.
    """
    results = {p: {b.name: {s.name: {"images": {}} for s in sources} for b in sets} for p in protocols}
    jobs = [(images.name, image) for images in sets for image in images]

    def work(job: tuple[str, BenchmarkImage]) -> dict[str, tuple[np.ndarray, dict[str, dict[str, float]]]]:
        return _measure_image(*job, sources, protocols, measures)

    with (
        tqdm(total=len(sources) * len(jobs), unit="image", disable=not progress) as bar,
        _one_thread_an_image() as threads,
        ThreadPoolExecutor(threads) as pool,
    ):
        # A few images ahead, so that pictures do not pile up.
        for batch in _batches(jobs, 2 * threads):
            for (name, image), measured in zip(batch, pool.map(work, batch), strict=True):
                bar.set_description(name)
                for method, (picture, figures) in measured.items():
                    for protocol in protocols:
                        results[protocol][name][method]["images"][image.name] = figures[protocol]
                    if show:
                        show(name, image.name, method, picture)
                    bar.update()
    for of_protocol in results.values():
        for of_set in of_protocol.values():
            for method, cell in of_set.items():
                of_set[method] = {**_means(list(cell["images"].values())), **cell}
    return results


def _measure_image(
    set_name: str,
    image: BenchmarkImage,
    sources: Sequence[Source],
    protocols: Sequence[str],
    measures: Sequence[Measure],
) -> dict[str, tuple[np.ndarray, dict[str, dict[str, float]]]]:
    """Method -> its picture, and its figures by protocol."""
    lr, hr = read_rgb_array(image.lr), read_rgb_array(image.hr)
    prepared = {one.key: one(hr) for one in measures}
    measured = {}
    for source in sources:
        sr = source.picture(set_name, image, lr, hr)
        shared = {key: distance(sr) for key, distance in prepared.items()}
        figures = {p: {"psnr": psnr(sr, hr, p), "ssim": ssim(sr, hr, p), **shared} for p in protocols}
        measured[source.name] = (sr, figures)
    return measured


def _batches(jobs: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (jobs[start : start + size] for start in range(0, len(jobs), size))


@contextmanager
def _one_thread_an_image() -> Iterator[int]:
    """How many images to work on at once: as many as torch may take threads, which meanwhile takes one for each.

    That is faster than all threads on one image, as much is done in one thread anyway, and it does not suffer from
    other programs. Besides, figures do not depend on the number of threads.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield threads
    finally:
        torch.set_num_threads(threads)


def _means(figures: list[dict[str, float]]) -> dict[str, float]:
    return {key: math.fsum(figure[key] for figure in figures) / len(figures) for key in figures[0]}


def format_table(results: Results, protocol: str) -> str:
    """Markdown table, one row per set and method; in the protocol "paper" next to the paper's tables."""
    with_vgg = any("vgg54" in cell for of_set in results.values() for cell in of_set.values())
    header = ["set", "method", "images", "PSNR / dB", "SSIM"]
    header += ["VGG54"] if with_vgg else []
    header += ["paper's PSNR", "paper's SSIM"] if protocol == "paper" else []
    rows = []
    for set_name, of_set in results.items():
        for method, cell in of_set.items():
            row = [set_name, method, str(len(cell["images"])), f"{cell['psnr']:.2f}", f"{cell['ssim']:.4f}"]
            if with_vgg:
                row.append(f"{cell['vgg54']:.4f}")
            if protocol == "paper":
                cited = PAPER.get(method, {}).get(set_name)
                row += [f"{cited[0]:.2f}", f"{cited[1]:.4f}"] if cited else ["", ""]
            rows.append(row)
    return markdown_table(header, rows, words=2)


def means(measured: dict[str, Results]) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """The means in what `evaluate` returns: method -> "metrics" of a model card (protocol, set, figure)."""
    table: dict[str, Any] = {}
    for protocol, results in measured.items():
        for name, of_set in results.items():
            for method, cell in of_set.items():
                figures = {key: round(value, 4) for key, value in cell.items() if key != "images"}
                table.setdefault(method, {}).setdefault(protocol, {})[name] = figures
    return table


def write_json(path: Path, document: Mapping) -> None:
    """Write an evaluation as JSON; the file appears complete or not at all.

    JSON knows no infinity: an infinite PSNR becomes the string "Infinity", which Python's float() and JavaScript's
    Number() take. Raises SRError where the file cannot be written.
    """
    text = json.dumps(_finite(document), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        write_text(Path(path), text)
    except OSError as error:
        raise SRError(f"cannot write {path}: {error.strerror}") from error


def _finite(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return "Infinity" if value == math.inf else value
