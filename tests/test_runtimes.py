"""OpenVINO beside torch: the same picture, int8, and what happens where it cannot be had."""

import argparse
import json
import re
import sys
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from sr import quantize
from sr.benchmark import BenchmarkSet
from sr.commands import quantize as command
from sr.errors import SRError
from sr.files import sha256
from sr.inference import load_network
from sr.methods import WEIGHTS, Upscaler, load
from sr.models import SRResNet
from sr.runtimes import checked, int8
from sr.runtimes.openvino import OpenVINONetwork
from tests.networks import difference, picture, save_weights, save_with_int8, small_net

SHIPPED = [
    path
    for path in sorted(WEIGHTS.glob("*.safetensors"))
    if json.loads(path.with_suffix(".json").read_bytes())["architecture"]["name"] == "SRResNet"
]


@pytest.fixture
def weights(tmp_path):
    file = tmp_path / "small.safetensors"
    save_with_int8(file)
    return file


@pytest.fixture(autouse=True)
def nothing_said_yet():
    checked.say_once.cache_clear()


cpu = partial(load, "srresnet", device="cpu")


@pytest.mark.parametrize("size", [(37, 52), (1, 1), (150, 20)])
def test_openvino_makes_the_same_picture(weights, size):
    image = picture(*size)
    fast = cpu(runtime="openvino", precision="fp32", weights=weights)
    assert (fast.runtime, fast.precision, fast.device) == ("openvino", "fp32", "cpu")
    assert difference(fast.upscale(image), cpu(runtime="torch", weights=weights).upscale(image)) <= 1


@pytest.mark.parametrize("scale", [2, 8])
def test_other_scales(scale):
    torch.manual_seed(0)
    net = SRResNet(1, 8, scale).eval().requires_grad_(False)
    image = picture(14, 17)
    with torch.inference_mode():
        output = net(torch.from_numpy(image).permute(2, 0, 1)[None] / 255)[0].permute(1, 2, 0)
    expected = ((output + 1) * 127.5).clip(0, 255).numpy()
    assert np.abs(OpenVINONetwork(net)(image) - expected).max() <= 0.51


def test_int8_differs_little_and_is_int8(weights):
    image = picture(40, 60)
    exact, fast = (cpu(precision=precision, weights=weights) for precision in ("fp32", "int8"))
    assert (fast.runtime, fast.precision) == ("openvino", "int8")
    assert 0 < np.abs(fast.upscale(image).astype(int) - exact.upscale(image)).mean() < 3


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_tiles_do_not_show_in_openvino(weights, precision):
    method = cpu(runtime="openvino", precision=precision, weights=weights)
    image = picture(97, 64)
    tiled = Upscaler("small", method._engine, tile=48).upscale(image)
    assert difference(tiled, method.upscale(image)) <= 1


def test_auto_takes_good_int8_and_no_other(weights, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    assert cpu(weights=weights).precision == "int8"
    assert cpu(weights=weights, precision="fp32").precision == "fp32"
    settings = json.loads(int8.path_beside(weights).read_text())
    int8.path_beside(weights).write_text(json.dumps(settings | {"psnr_lost": {"crops": 0.0, "Set5": 0.05}}))
    assert cpu(weights=weights).precision == "fp32"
    assert cpu(weights=weights, precision="int8").precision == "int8"  # asked for by name


def test_settings_of_other_weights_are_not_used(weights, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    save_weights(weights, small_net(num_blocks=1))
    with pytest.raises(SRError, match=r"small.int8.json was made for other weights.*python -m sr quantize"):
        cpu(precision="int8", weights=weights)
    with pytest.warns(RuntimeWarning, match="int8 is not used.*other weights"):
        assert cpu(weights=weights).precision == "fp32"
    int8.path_beside(weights).unlink()
    with pytest.raises(SRError, match="no settings for int8"):
        cpu(precision="int8", weights=weights)


class Failing:
    def __init__(self, *_):
        raise RuntimeError("no such instruction")


class Wrong(OpenVINONetwork):
    tile = 20

    def __call__(self, window):
        return 255 - super().__call__(window)


class Breaking(OpenVINONetwork):
    def __call__(self, window):
        raise RuntimeError("out of memory")


FAULTS = {
    "missing": (None, "OpenVINO is not installed"),
    "failing": (Failing, "OpenVINO failed .no such instruction"),
    "wrong": (Wrong, "computed another picture than torch"),
    "breaking": (Breaking, "openvino failed .out of memory"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_auto_falls_back_to_torch_and_says_so_once(weights, monkeypatch, fault):
    kind, words = FAULTS[fault]
    if kind is None:
        monkeypatch.setitem(sys.modules, "sr.runtimes.openvino", None)
    else:
        monkeypatch.setattr("sr.runtimes.openvino.OpenVINONetwork", kind)
    image = picture(60, 50)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        methods = [cpu(weights=weights) for _ in range(2)]
        results = [method.upscale(image) for method in methods for _ in range(2)]
    (said,) = [str(warning.message) for warning in caught if warning.category is RuntimeWarning]
    assert re.search(words, said)
    for method in methods:
        assert (method.runtime, method.precision) == ("torch", "fp32")
    expected = cpu(runtime="torch", weights=weights).upscale(image)
    assert all(difference(result, expected) <= 1 for result in results)
    if fault in ("missing", "failing"):
        with pytest.raises(SRError, match=f"{words}.*use runtime torch"):
            cpu(runtime="openvino", weights=weights)


def test_progress_stops_the_work_between_tiles(weights):
    class CancelledError(Exception):
        pass

    seen = []

    def progress(done, total):
        seen.append((done, total))
        if done == 2:
            raise CancelledError

    engine = cpu(runtime="openvino", precision="fp32", weights=weights)._engine
    with pytest.raises(CancelledError):
        Upscaler("small", engine, tile=48).upscale(picture(120, 60), progress=progress)
    assert [done for done, _ in seen] == [1, 2]
    assert seen[0][1] > 2


def test_an_error_in_a_tile_stops_the_work(weights):
    engine = cpu(runtime="openvino", precision="fp32", weights=weights)._engine
    calls = []

    def enlarge(window):
        calls.append(window.shape)
        if len(calls) == 2:
            raise RuntimeError("out of memory")
        return engine(window)

    for key in ("scale", "overlap", "tile", "any_planes", "device", "runtime", "precision"):
        setattr(enlarge, key, getattr(engine, key))
    with pytest.raises(RuntimeError, match="out of memory"):
        Upscaler("small", enlarge, tile=48).upscale(picture(120, 60))
    assert len(calls) == 2


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_shipped_int8_fits_its_weights_and_is_good(file):
    assert int8.read(file).is_good


@pytest.mark.parametrize("method", ["srresnet", "srgan"])
def test_shipped_int8_differs_little(method):
    """On a photo with a smooth background: no level is off by much, and none on average."""
    with Image.open(WEIGHTS.parents[1] / "demo" / "examples" / "hr" / "cat.png") as cat:
        image = np.asarray(cat.convert("RGB").crop((100, 60, 148, 108)))
    exact, fast = (load(method, device="cpu", precision=precision).upscale(image) for precision in ("fp32", "int8"))
    differences = fast.astype(int) - exact
    assert 0 < np.sqrt(np.mean(differences**2)) < 1.5
    assert np.abs(differences.mean((0, 1))).max() < 0.5


@pytest.fixture
def small_quantisation(monkeypatch):
    for name, value in {
        "CALIBRATION": 2,
        "HELD_OUT": 2,
        "SIDE": 12,
        "RANKING": 1,
        "TIMED": (8, 8),
        "ROUNDS": 1,
    }.items():
        monkeypatch.setattr(quantize, name, value)


def test_quantising_orders_the_convolutions_by_what_they_cost(weights, photos, benchmark, small_quantisation):
    settings, points = quantize.quantise(weights, [photos], [BenchmarkSet(benchmark, "Tiny")])
    assert settings.weights_sha256 == sha256(weights)
    exact, *others = points
    assert exact.rms == 0
    assert [len(point.kept) for point in others] == list(range(9))
    for point in points:
        assert point.psnr.keys() == {"crops", "Tiny"}
        assert point.seconds > 0
    for point in others:
        assert point.ranges.keys() | set(point.kept) == set(exact.kept)
        assert all(low <= 0 <= high for low, high in point.ranges.values())
    assert others[-1].rms < others[0].rms
    assert settings.ranges in [point.ranges for point in others]
    int8.write(settings, weights)
    assert cpu(precision="int8", weights=weights).upscale(picture(9, 9)).shape == (36, 36, 3)


@pytest.mark.parametrize(("difference", "kept"), [(np.inf, 0), (0, 8)])
def test_a_good_psnr_does_not_excuse_another_picture(
    weights, photos, small_quantisation, monkeypatch, difference, kept
):
    monkeypatch.setattr(quantize, "LOSS", np.inf)
    monkeypatch.setattr(quantize, "DIFFERENCE", difference)
    settings, (exact, *_) = quantize.quantise(weights, [photos])
    assert len(exact.kept) - len(settings.ranges) == kept


def test_quantising_keeps_the_mean_colour(weights, photos, small_quantisation):
    settings, _ = quantize.quantise(weights, [photos])
    crops = [lr for lr, _ in quantize.crops([photos], 2, 4)]
    net = load_network(weights)
    exact, corrected, plain = (
        np.mean([engine(lr).mean((0, 1)) for lr in crops], axis=0)
        for engine in (
            OpenVINONetwork(net),
            OpenVINONetwork(net, settings.ranges, settings.offset),
            OpenVINONetwork(net, settings.ranges),
        )
    )
    assert np.abs(corrected - exact).max() < 0.1
    np.testing.assert_allclose(corrected - plain, settings.offset, atol=0.1)


def test_the_command_writes_settings_and_a_report(weights, photos, small_quantisation, tmp_path, capsys):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    int8.path_beside(weights).unlink()
    out = tmp_path / "results" / "quantization"
    assert command.run(parser.parse_args(["--data", str(photos), "--weights", str(weights), "-o", str(out)])) == 0
    assert "small.int8.json" in capsys.readouterr().out
    assert int8.read(weights).psnr_lost.keys() == {"crops"}
    table = out.with_suffix(".csv").read_text().splitlines()
    assert len(table) == 1 + 10
    assert out.with_suffix(".md").read_text().count("| small") == 10
    assert out.with_suffix(".png").stat().st_size > 1000


def test_quantising_needs_enough_images(weights, photos):
    with pytest.raises(SRError, match="112 images of at least 192 pixels a side are needed.*has 0"):
        quantize.quantise(weights, [photos])
