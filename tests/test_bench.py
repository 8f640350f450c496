import json
import re
import subprocess
import sys
from contextlib import redirect_stdout
from functools import partial
from io import StringIO

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from sr.__main__ import main
from sr.checkpoint import save_weights
from sr.config import load_config
from sr.data import ImageStore
from sr.errors import SRError
from sr.methods import WEIGHTS
from sr.models import SRResNet
from sr.packing import write_pack
from sr.precision import resolve_training_precision
from sr.speed import infer, machine
from sr.speed.plain import PlainLoop
from sr.speed.train import OurLoop, Setting, count_flops, measure
from tests.networks import save_with_int8

CPU = torch.device("cpu")
TINY = {"num_blocks": 1, "channels": 8, "discriminator_channels": 4, "crop_size": 32, "batch_size": 2}


@pytest.fixture(scope="module")
def benched(photos, vgg_files, tmp_path_factory):
    """What the command writes and prints, of networks and matrices that take no time."""
    folder = tmp_path_factory.mktemp("bench")
    file, printed = folder / "new" / "speed.json", StringIO()
    generator = SRResNet(TINY["num_blocks"], TINY["channels"])
    card = {"architecture": {"name": "SRResNet", **generator.config()}}
    start = save_weights(folder, "start", generator.state_dict(), card)
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        patch.setattr("sr.speed.train.measure", partial(measure, overrides=TINY | {"init": str(start)}))
        patch.setattr(machine, "SIZES", {"cpu": (256,)})
        arguments = ["--data", str(photos), "--vgg", str(vgg_files["VGG16"]), "--seconds", "0.2", "--json", str(file)]
        assert main(["bench", "train", "--device", "cpu", *arguments]) == 0
    return json.loads(file.read_text()), printed.getvalue()


def test_the_figures_fit_together(benched):
    report, _ = benched
    assert list(report["runs"]) == ["plain", "ours", "plain-srgan", "ours-srgan"]
    for run in report["runs"].values():
        assert min(run["turns"]) <= run["patches_per_s"] <= max(run["turns"])
        assert run["tflops"] == pytest.approx(run["patches_per_s"] * run["flops_per_patch"] / 1e12)
        peak = report["matmul_gflops"][run["precision"]]
        assert run["share_of_peak"] == pytest.approx(run["tflops"] * 1e3 / peak)
        assert 0 < run["share_of_peak"] < 1.5
        assert 0 < run["data_wait"] < 1
        assert run["cold_start_s"] > 0
        assert (run["batch_size"], run["crop_size"]) == (2, 32)
        assert run["bytes_to_device_per_patch"] == 0  # nothing moves on the CPU
    fastest = resolve_training_precision("auto", CPU)
    assert [run["precision"] for run in report["runs"].values()] == ["fp32", fastest] * 2
    flops = {name: run["flops_per_patch"] for name, run in report["runs"].items()}
    assert flops["plain"] == flops["ours"] < flops["ours-srgan"]
    for suffix in ("", "srgan"):
        plain, ours = (report["runs"][f"{name}-{suffix}".rstrip("-")]["patches_per_s"] for name in ("plain", "ours"))
        assert report[f"ratio_{suffix}".rstrip("_")] == pytest.approx(ours / plain)


def test_the_report_says_where_it_comes_from(benched):
    report, printed = benched
    assert report["machine"]["device"].startswith("cpu")
    assert report["versions"]["torch"] == torch.__version__
    assert report["command"] in printed
    header, *_ = [line for line in printed.splitlines() if line.startswith("| run")]
    for name, run in report["runs"].items():
        (row,) = [line for line in printed.splitlines() if line.startswith(f"| {name} |")]
        assert row.count("|") == header.count("|")
        assert f"{run['patches_per_s']:.4g}" in row
    assert "rescale_min: 0.5" in printed  # our settings


def test_a_step_of_srresnet_takes_about_seven_and_a_half_gflop_a_patch(photos):
    images = ImageStore([photos], min_side=96)
    plain = count_flops(Setting(PlainLoop, load_config("srresnet-mse"), images, CPU, None))
    assert plain == pytest.approx(7.5e9, rel=0.05)
    assert count_flops(Setting(OurLoop, load_config("srresnet-mse-cpu"), images, CPU, None)) == plain


def test_the_plain_loop_learns(photos):
    config = load_config("srresnet-mse", TINY | {"lr": 3e-3})
    loop = PlainLoop(config, ImageStore([photos], min_side=32), CPU, None)
    losses = [loop.step(*next(loop.batches)) for _ in range(60)]
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])


def test_the_plain_loop_trains_both_networks_of_a_gan(photos, vgg_files):
    config = load_config("srgan-vgg54", TINY)
    loop = PlainLoop(config, ImageStore([photos], min_side=32), CPU, vgg_files["VGG16"])
    before = [p.clone() for network in (loop.generator, loop.discriminator) for p in network.parameters()]
    assert np.isfinite(loop.step(*next(loop.batches)))
    after = [p for network in (loop.generator, loop.discriminator) for p in network.parameters()]
    assert not any(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_the_plain_loop_decodes_its_files_at_each_use(tmp_path):
    """Once other pictures lie in the files, its batches hold them; HR is the crop as it is, LR Pillow's reduction."""
    paths = [tmp_path / f"{i}.png" for i in range(2)]
    for path in paths:
        Image.new("RGB", (48, 40), "white").save(path)
    loop = PlainLoop(load_config("srresnet-mse", TINY), ImageStore([tmp_path], min_side=32), CPU, None)
    assert all((image == 1).all() for image in next(loop.batches))
    noise = np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    for path in paths:
        Image.fromarray(noise).save(path)
    for lr, hr in zip(*next(loop.batches), strict=True):
        crop = ((hr + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
        assert any((crop == noise[y : y + 32, x : x + 32]).all() for y in range(9) for x in range(17))
        reduced = np.asarray(Image.fromarray(crop).resize((8, 8), Image.Resampling.BICUBIC))
        assert np.array_equal((lr * 255).round().byte().permute(1, 2, 0).numpy(), reduced)


def test_user_errors(photos, tmp_path, capsys):
    write_pack([photos], tmp_path / "pack", workers=1)
    cases = [
        (["--data", str(tmp_path / "absent")], "no such folder.*absent"),
        (["--data", str(tmp_path / "pack")], "is a pack"),
        (["--data", str(photos)], "at least 112 pixels a side"),
        (["--data", str(photos), "--seconds", "0"], "--seconds must be above 0"),
        (["--data", str(photos), "--threads", "0"], "--threads must be at least 1"),
    ]
    if not torch.cuda.is_available():
        cases.append((["--data", str(photos), "--device", "cuda"], "cuda is not there"))
    for arguments, message in cases:
        assert main(["bench", "train", "--device", "cpu", *arguments, "--json", str(tmp_path / "speed.json")]) == 2
        assert re.search(message, capsys.readouterr().err), message
    assert not (tmp_path / "speed.json").exists()


def test_what_is_missing_is_said_before_the_measurement(photos, tmp_path, monkeypatch):
    monkeypatch.setattr("sr.speed.train.matmul_peaks", None)  # the measurement's first part
    with pytest.raises(SRError, match="8 crops.*there are 4"):
        measure([photos], CPU, 1, overrides=TINY | {"batch_size": 8})
    with pytest.raises(SRError, match="VGG weights.*absent"):
        measure([photos], CPU, 1, tmp_path / "absent.pth", overrides=TINY)


def save_onnx(file) -> None:
    """A convolution and a pixel shuffle x4."""
    sides = [[1, 3, "height", "width"], [1, 3, "higher", "wider"]]
    lr, sr = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in zip(("lr", "sr"), sides, strict=True)
    )
    kernel = onnx.numpy_helper.from_array(np.full((48, 3, 1, 1), 1 / 3, np.float32), "kernel")
    nodes = [
        onnx.helper.make_node("Conv", ["lr", "kernel"], ["cells"]),
        onnx.helper.make_node("DepthToSpace", ["cells"], ["sr"], blocksize=4),
    ]
    graph = onnx.helper.make_graph(nodes, "grey", [lr], [sr], [kernel])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), file)


@pytest.fixture(scope="module")
def inferred(tmp_path_factory):
    """What `bench infer` writes and prints, of a network and pictures that take no time."""
    folder = tmp_path_factory.mktemp("infer")
    weights, model, file = folder / "small.safetensors", folder / "small.onnx", folder / "new" / "infer.json"
    save_with_int8(weights)
    save_onnx(model)
    printed = StringIO()
    cold = infer.start_cold
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        patch.setattr(infer, "measure", partial(infer.measure, weights=weights))
        patch.setattr(infer, "PICTURE", (20, 24))
        patch.setattr(machine, "SIZES", {"cpu": (256,)})
        # Starting Python takes seconds.
        known = {"cold_start_s": 1.0, "peak_memory_mib": 2.0}
        patch.setattr(infer, "start_cold", lambda setting: cold(setting) if "int8" in setting.name else known)
        arguments = ["--onnx", str(model), "--seconds", "0.2", "--threads", "1", "--json", str(file)]
        assert main(["bench", "infer", "--method", "srresnet", *arguments]) == 0
    return json.loads(file.read_text()), printed.getvalue(), f"onnx:{model}"


def test_every_runtime_is_timed(inferred):
    report, printed, model = inferred
    assert list(report["runs"]) == ["naive", "torch-fp32", "openvino-fp32", "openvino-int8", model]
    assert report["left_out"] == {}
    for name, run in report["runs"].items():
        rate = run["lr_pixels_per_s"]
        assert min(run["turns"]) <= rate <= max(run["turns"])
        assert run["gflops"] == pytest.approx(rate * report["flops_per_lr_pixel"] / 1e9)
        assert run["share_of_peak"] == pytest.approx(run["gflops"] / report["matmul_gflops"]["fp32"])
        assert report["ratios"][name] == pytest.approx(rate / report["runs"]["naive"]["lr_pixels_per_s"])
        assert f"| {name} | {rate:.0f} (" in printed
    started = report["runs"]["openvino-int8"]
    assert started["cold_start_s"] > 0.1
    assert started["peak_memory_mib"] is None or started["peak_memory_mib"] > 100
    assert report["machine"]["device"].startswith("cpu")
    assert report["command"] in printed


def test_a_cold_start_waits_for_nothing_that_only_the_comparison_needs():
    code = "import sys, sr.speed.runs; sys.exit(not {'torchvision', 'sr.trainer'}.isdisjoint(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_lr_pixel_of_the_shipped_network_takes_4_4_mflop():
    assert infer.count_flops(WEIGHTS / "srresnet.safetensors") == pytest.approx(4.44e6, rel=0.01)


def test_all_runs_make_the_same_picture(tmp_path):
    save_with_int8(tmp_path / "small.safetensors")
    picture = np.random.default_rng(0).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    results = {
        name: infer.Setting(
            name, str(tmp_path / "small.safetensors"), torch.get_num_threads(), picture.shape[:2]
        ).build()(picture)
        for name in ("naive", *infer.OURS)
    }
    for name, result in results.items():
        differences = np.abs(result.astype(int) - results["naive"])
        assert differences.mean() < 3 if name == "openvino-int8" else differences.max() <= 1


def test_what_cannot_be_inferred(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(machine, "SIZES", {"cpu": (64,)})
    (tmp_path / "no.onnx").write_bytes(b"no model")
    cases = [
        (["--method", "esrgan"], "unknown method 'esrgan'"),
        (["--method", "bicubic"], "bicubic is a fixed filter"),
        (["--method", "srcnn"], "srcnn is not of SRResNet's architecture"),
        (["--onnx", str(tmp_path / "absent.onnx")], "no ONNX file .*absent.onnx"),
        (["--onnx", str(tmp_path / "no.onnx")], "cannot read .*no.onnx"),
        (["--seconds", "0"], "--seconds must be above 0"),
    ]
    for arguments, message in cases:
        assert main(["bench", "infer", *arguments, "--json", str(tmp_path / "infer.json")]) == 2
        assert re.search(message, capsys.readouterr().err), message
    assert not (tmp_path / "infer.json").exists()
