"""Int8 for a trained SRResNet: ranges from training images, and which convolutions have to stay in fp32.

A few convolutions make most of the error: the first one, whose weights see the picture itself, and the first of the
blocks, whose input has a few large values. They do little of the work. So the convolutions are ordered by the error
that each makes alone, relative to its operations, and stay in fp32 in this order until the picture is near enough.

Errors of rounding do not cancel out over a picture: its mean colour moves. The last bias takes that back (bias
correction: Nagel et al., ICCV 2019).
"""

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from sr.benchmark import BenchmarkSet
from sr.data import find_files, read_or_reason
from sr.errors import SRError
from sr.files import sha256
from sr.images import read_rgb_array
from sr.inference import fold_batch_norms, load_network
from sr.metrics import psnr
from sr.models import SRResNet
from sr.resize import hr_and_lr
from sr.runtimes.graph import Offset, Ranges
from sr.runtimes.int8 import Int8
from sr.runtimes.openvino import OpenVINONetwork

Pairs = list[tuple[np.ndarray, np.ndarray]]

CALIBRATION = 64  # crops whose ranges are taken
HELD_OUT = 48  # other crops, on which the loss is measured
SIDE = 48  # of the crops in LR pixels
RANKING = 4  # held-out crops that order the convolutions
MOST_KEPT = 12  # convolutions in fp32 at the slow end of what is measured
TIMED = (80, 120)  # LR pixels of the noise on which the time is taken
ROUNDS = 10
LOSS = 0.012
"""dB of PSNR that the settings may lose on held-out crops. Benchmark sets lose up to twice as much, and
`sr.runtimes.int8.MAX_LOSS` holds for them."""
DIFFERENCE = 1.25
"""Root mean square of the difference from fp32, in levels of 255, that the settings may make on held-out crops. PSNR
alone is no measure for a GAN: its texture can be lost without a loss of PSNR."""


@dataclass
class Point:
    """A choice of convolutions to keep in fp32; all of them: `ranges` is None.

    offset: see `sr.runtimes.int8.Int8`. psnr: mean of every kind of images in dB. rms, largest: difference from fp32
    on the held-out crops, in levels of 255. seconds: CPU time for an LR pixel.
    """

    kept: list[str]
    ranges: Ranges | None
    offset: Offset = (0, 0, 0)
    psnr: dict[str, float] = field(default_factory=dict)
    rms: float = 0.0
    largest: int = 0
    seconds: float = 0.0


def quantise(weights: Path, data: Sequence[Path], benchmarks: Sequence[BenchmarkSet] = ()) -> tuple[Int8, list[Point]]:
    """Settings for int8 of the network in `weights`, and what was measured: fp32, then ever more kept in fp32.

    data: folders of training images. benchmarks: sets on which the loss is measured as well; they decide nothing.
    The settings are the first point within `LOSS` and `DIFFERENCE` on crops held out; the last one if none is.
    Raises SRError for weights that `load_network` refuses or of another architecture, and for too few images.
    """
    net = load_network(weights)
    if not isinstance(net, SRResNet):
        raise SRError(f"{weights} holds a {type(net).__name__}; int8 is there for SRResNet's architecture alone")
    pairs = crops(data, CALIBRATION + HELD_OUT, net.scale)
    pictures = [lr for lr, _ in pairs[:CALIBRATION]]
    ranges = calibrate(net, pictures)
    held_out = pairs[CALIBRATION:]
    exact = OpenVINONetwork(net)
    colour = _mean_colour(exact, pictures)
    wanted = [exact(lr).astype(np.int16) for lr, _ in held_out]
    order = rank(net, ranges, [lr for lr, _ in held_out[:RANKING]], wanted[:RANKING])
    points, engines = [Point(list(ranges), None)], [exact]
    for count in range(min(MOST_KEPT, len(order) - 1) + 1):
        kept = order[:count]
        in_int8 = {name: limits for name, limits in ranges.items() if name not in kept}
        offset = tuple((colour - _mean_colour(OpenVINONetwork(net, in_int8), pictures)).tolist())
        points.append(Point(kept, in_int8, offset))
        engines.append(OpenVINONetwork(net, in_int8, offset))
    images = {"crops": held_out} | {images.name: _Files(images) for images in benchmarks}
    for point, engine in tqdm(list(zip(points, engines, strict=True)), desc=f"measuring {weights.stem}"):
        for kind, of_kind in images.items():
            point.psnr[kind] = float(np.mean([psnr(engine(lr), hr, "standard") for lr, hr in of_kind]))
        differences = np.stack([engine(lr) - right for (lr, _), right in zip(held_out, wanted, strict=True)])
        point.rms, point.largest = float(np.sqrt(np.mean(differences**2.0))), int(np.abs(differences).max())
    _time(points, engines)
    lost = [{kind: points[0].psnr[kind] - value for kind, value in point.psnr.items()} for point in points]
    good = (i for i in range(1, len(points)) if lost[i]["crops"] <= LOSS and points[i].rms <= DIFFERENCE)
    chosen = next(good, len(points) - 1)
    source = f"{CALIBRATION} crops of {SIDE}x{SIDE} LR pixels, one an image"
    return Int8(sha256(weights), points[chosen].ranges, points[chosen].offset, lost[chosen], source), points


def crops(folders: Sequence[Path], count: int, scale: int) -> Pairs:
    """LR and HR, uint8 RGB, of `count` images, always the same ones for the same folders.

    Raises SRError when there are fewer that are large enough.
    """
    draw = random.Random(0)
    files = find_files(list(folders))
    draw.shuffle(files)
    pairs: Pairs = []
    side = SIDE * scale
    for file in files:
        if len(pairs) == count:
            break
        image = read_or_reason(file)
        if isinstance(image, str) or min(image.shape[:2]) < side:
            continue
        top, left = (draw.randint(0, length - side) for length in image.shape[:2])
        hr, lr = hr_and_lr(np.ascontiguousarray(image[top : top + side, left : left + side]), scale)
        pairs.append((lr, hr))
    if len(pairs) < count:
        where = ", ".join(map(str, folders))
        raise SRError(f"{count} images of at least {side} pixels a side are needed, {where} has {len(pairs)}")
    return pairs


@torch.inference_mode()
def calibrate(net: SRResNet, pictures: Sequence[np.ndarray]) -> Ranges:
    """The smallest and the largest input of every convolution on LR pictures, zero included.

    Narrower ranges, which cut off rare values (means or percentiles of the pictures' extremes), lost three times as
    much: rare values are edges, which everybody sees.
    """
    net = fold_batch_norms(net)
    ranges: Ranges = {}

    def watch(name: str):
        def hook(module: nn.Module, inputs: tuple[torch.Tensor]) -> None:
            low, high = ranges.get(name, (0.0, 0.0))
            ranges[name] = min(low, inputs[0].min().item()), max(high, inputs[0].max().item())

        return hook

    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_pre_hook(watch(name))
    for picture in pictures:
        net(torch.from_numpy(picture).permute(2, 0, 1)[None] / 255)
    ranges["head_conv"] = (0.0, 1.0)  # its levels are those of the picture
    return ranges


def rank(net: SRResNet, ranges: Ranges, pictures: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> list[str]:
    """The convolutions, first those whose int8 alone makes the largest squared error for their operations.

    wanted: int16, what fp32 makes of the pictures.
    """
    operations = _operations(net)
    errors = {}
    for name in tqdm(ranges, desc="one convolution in int8"):
        engine = OpenVINONetwork(net, {name: ranges[name]})
        differences = [engine(picture) - right for picture, right in zip(pictures, wanted, strict=True)]
        errors[name] = np.mean(np.square(differences, dtype=np.float64)) / operations[name]
    return sorted(errors, key=errors.get, reverse=True)


def _mean_colour(engine: OpenVINONetwork, pictures: Sequence[np.ndarray]) -> np.ndarray:
    """R, G and B of what the engine makes of LR pictures of one size."""
    return np.mean([engine(picture).mean((0, 1)) for picture in pictures], axis=0)


def _operations(net: SRResNet) -> dict[str, int]:
    """Multiplications of every convolution for an LR pixel."""
    scales = {f"upsample.{i}.conv": 2**i for i in range(len(net.upsample))} | {"tail_conv": net.scale}
    modules = {name: module for name, module in net.named_modules() if isinstance(module, nn.Conv2d)}
    return {name: module.weight.numel() * scales.get(name, 1) ** 2 for name, module in modules.items()}


def _time(points: Sequence[Point], engines: Sequence[OpenVINONetwork]) -> None:
    """In turns, so that a drift of the machine's speed meets all alike."""
    noise = np.random.default_rng(0).integers(0, 256, (*TIMED, 3), dtype=np.uint8)
    times = np.zeros((ROUNDS, len(points)))
    for turn in range(ROUNDS):
        for index, engine in enumerate(engines):
            started = time.process_time()
            engine(noise)
            times[turn, index] = time.process_time() - started
    for point, best in zip(points, times.min(0), strict=True):
        point.seconds = float(best) / noise[..., 0].size


class _Files:
    """A benchmark set's images, read anew each time."""

    def __init__(self, images: BenchmarkSet):
        self._images = images

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return ((read_rgb_array(image.lr), read_rgb_array(image.hr)) for image in self._images)
