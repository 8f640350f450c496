"""What a run-book finds out before it trains: whether this machine measures right, and how fast it is."""

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from PIL import Image

from sr.benchmark import BenchmarkSet
from sr.config import TrainConfig
from sr.errors import SRError
from sr.evaluate import Results, evaluate, means
from sr.losses import VGGLoss
from sr.measures import VGGDistance
from sr.methods import load
from sr.run import Resources
from sr.runbook.throughput import measure
from sr.speed.machine import matmul_peaks

REFERENCES = ("bicubic", "srresnet", "srgan")  # the networks with the shipped weights
BICUBIC = {"Set5": 28.42, "Set14": 26.09, "BSD100": 25.96}  # dB, protocol "standard", of the sets as published


def check(
    configs: dict[str, TrainConfig], resources: Resources, vgg54: VGGLoss, minutes: float, say: Callable[[str], object]
) -> dict[str, Any]:
    """Measures the references on all sets, and the training speed of every configuration. Plain values:

    "metrics": as `sr.evaluate.means`, of `REFERENCES`.
    "throughput": the fields of `sr.runbook.throughput.Throughput` by the configuration's name.
    "matmul_tflops": on CUDA.
    "evaluation_seconds": of the references on all sets; "validation_seconds": of one of them on the first.
    Raises SRError when `minutes` are too few to measure so much.
    """
    pixels = {name: _pixels(BenchmarkSet(resources.benchmark, name)) for name in resources.sets}
    first = resources.sets[0]
    for name in REFERENCES:
        load(name, device=str(resources.device))  # imports much on first use, which would be measured with the rest
    started = time.monotonic()
    measured = _evaluate(resources, [first], vgg54)
    of_first = time.monotonic() - started
    bicubic = measured["standard"][first]["bicubic"]["psnr"]
    say(f"bicubic on {first}: {bicubic:.2f} dB, standard protocol")
    if abs(bicubic - BICUBIC.get(first, bicubic)) > 0.01:
        say(f"WARNING: on {first} as published it is {BICUBIC[first]:.2f} dB; the images or this machine differ")
    expected = of_first * sum(pixels.values()) / pixels[first]
    if 2 * expected > 60 * minutes:
        raise SRError(
            f"measuring {', '.join(pixels)} before and after the training takes about {2 * expected / 60:.1f} minutes "
            f"here, and --minutes are {minutes:g}; give more of them or fewer --sets"
        )
    found: dict[str, Any] = {"throughput": {}, "validation_seconds": of_first / len(REFERENCES)}
    for name, config in configs.items():
        speed = measure(config, resources.images, resources.device, resources.vgg, seconds=min(5.0, 0.6 * minutes))
        found["throughput"][name] = asdict(speed)
        say(f"{name}: {speed}")
    if resources.device.type == "cuda":
        found["matmul_tflops"] = matmul_peaks(resources.device)["bf16"] / 1e3
        say(f"bf16 matrix products: {found['matmul_tflops']:.0f} TFLOP/s")
    started = time.monotonic()
    if resources.sets[1:]:
        rest = _evaluate(resources, resources.sets[1:], vgg54)
        for protocol, results in rest.items():
            measured[protocol] |= results
    found["evaluation_seconds"] = of_first + time.monotonic() - started
    return found | {"metrics": means(measured)}


def _evaluate(resources: Resources, sets: tuple[str, ...] | list[str], vgg54: VGGLoss) -> dict[str, Results]:
    device = str(resources.device)
    return evaluate(resources.benchmark, sets, REFERENCES, measures=[VGGDistance(vgg54)], device=device, progress=True)


def _pixels(images: BenchmarkSet) -> int:
    """In the HR images, from their headers."""
    total = 0
    for image in images:
        with Image.open(image.hr) as opened:
            total += opened.width * opened.height
    return total
