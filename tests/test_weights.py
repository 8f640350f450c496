"""The shipped weights and what their cards claim."""

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

import sr
from sr.evaluate import evaluate
from sr.images import read_rgb_array
from sr.losses import VGGLoss
from sr.methods import WEIGHTS
from sr.resize import hr_and_lr

EXAMPLES = Path(__file__).parents[1] / "demo" / "examples" / "hr"
SRRESNET = {"name": "SRResNet", "num_blocks": 16, "channels": 64, "scale": 4}
SHIPPED = {
    "srcnn": {"name": "SRCNN", "scale": 4},
    "espcn": {"name": "ESPCN", "scale": 4},
    "srresnet": SRRESNET,
    "srresnet-vgg22": SRRESNET,
    "srgan-mse": SRRESNET,
    "srgan-vgg22": SRRESNET,
    "srgan": SRRESNET,
}


@pytest.fixture(scope="session", params=SHIPPED)
def card(request) -> dict:
    return json.loads((WEIGHTS / f"{request.param}.json").read_text(encoding="utf-8"))


def test_card_tells_what_made_the_weights(card):
    assert card["architecture"] == SHIPPED[card["name"]]
    assert card["departures"]
    for stage in card["training"]:
        assert {"command", "loss", "steps", "patches", "seconds", "hardware", "data"} <= set(stage)
        assert stage["patches"] > 0
    assert card["patches_in_all"] == sum(stage["patches"] for stage in card["training"])
    for protocol in ("paper", "standard"):
        assert set(card["metrics"][protocol]) == {"Set5", "Set14", "BSD100"}
    assert "/root" not in json.dumps(card)


@pytest.mark.parametrize("name", SHIPPED)
def test_weights_are_half_precision_and_small(name):
    path = WEIGHTS / f"{name}.safetensors"
    assert path.stat().st_size < 3.5e6
    with safe_open(path, "np") as file:
        kinds = {file.get_slice(key).get_dtype() for key in file.keys()}  # noqa: SIM118 - it is no dict
    assert kinds <= {"F16", "I64"}


def test_every_loss_gives_a_picture_of_its_own():
    picture = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    names = [name for name, architecture in SHIPPED.items() if architecture is SRRESNET]
    restored = [sr.load(name, runtime="torch").upscale(picture).astype(int) for name in names]
    for one, other in combinations(restored, 2):
        assert np.abs(one - other).mean() > 1


@pytest.mark.parametrize("name", SHIPPED)
def test_colours_stay(name):
    """A flat picture of any colour comes out flat and in that colour, but for a few of 255 levels."""
    method = sr.load(name)
    for colour in ([200, 30, 60], [20, 90, 200], [128, 128, 128], [245, 245, 240]):
        flat = np.full((32, 32, 3), colour, np.uint8)
        restored = method.upscale(flat)[32:-32, 32:-32].astype(int)
        assert np.abs(restored.mean((0, 1)) - colour).max() < 6, colour


@pytest.mark.parametrize("name", ["srresnet", "srgan"])
@pytest.mark.parametrize("photo", ["astronaut", "bricks", "cat", "gravel", "patch", "rocket"])
def test_mean_colours_of_photographs_stay(name, photo):
    """Within one of 255 levels, whatever texture is put in."""
    hr, lr = hr_and_lr(read_rgb_array(EXAMPLES / f"{photo}.png"))
    restored = sr.load(name).upscale(lr)
    assert np.abs((restored.astype(float) - hr).mean((0, 1))).max() < 1


@pytest.mark.data
def test_card_figures_are_measured_again(sr_data):
    measured = evaluate(sr_data / "benchmark", ["Set5"], ["bicubic", *SHIPPED])
    for name in SHIPPED:
        card = json.loads((WEIGHTS / f"{name}.json").read_text(encoding="utf-8"))
        for protocol in ("paper", "standard"):
            claimed, found = card["metrics"][protocol]["Set5"], measured[protocol]["Set5"][name]
            assert found["psnr"] == pytest.approx(claimed["psnr"], abs=0.01)
            assert found["ssim"] == pytest.approx(claimed["ssim"], abs=0.001)
    figures = measured["standard"]["Set5"]
    assert figures["srresnet"]["psnr"] > figures["bicubic"]["psnr"] + 2.5
    for name in ("srcnn", "espcn"):
        assert figures["srresnet"]["psnr"] - 1 > figures[name]["psnr"] > figures["bicubic"]["psnr"] + 1.5


@pytest.mark.data
def test_srgan_is_nearest_to_the_original_in_vgg_features(sr_data):
    loss = VGGLoss("vgg54", sr_data / "vgg16_imagenet_features.safetensors")
    folder = sr_data / "benchmark" / "BSD100"
    import torch

    def features(image: np.ndarray) -> torch.Tensor:
        with torch.inference_mode():
            return loss.extract(torch.from_numpy(image).permute(2, 0, 1)[None] / 127.5 - 1)

    methods = {name: sr.load(name) for name in ("bicubic", "srresnet", "srgan")}
    distances = dict.fromkeys(methods, 0.0)
    for number in range(1, 100, 14):
        lr, hr = (read_rgb_array(folder / kind / f"img_{number:03}.png") for kind in ("LRx4", "HR"))
        wanted = features(hr)
        for name, method in methods.items():
            distances[name] += (features(method.upscale(lr)) - wanted).square().sum(1).mean().item()
    assert distances["srgan"] < min(distances["srresnet"], distances["bicubic"])
