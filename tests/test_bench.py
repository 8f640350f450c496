import json
import re
from contextlib import redirect_stdout
from functools import partial
from io import StringIO

import numpy as np
import pytest
import torch
from PIL import Image

from sr.__main__ import main
from sr.checkpoint import save_weights
from sr.config import load_config
from sr.data import ImageStore
from sr.errors import SRError
from sr.models import SRResNet
from sr.packing import write_pack
from sr.speed import machine
from sr.speed.plain import PlainLoop
from sr.speed.train import OurLoop, Setting, count_flops, measure

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
    assert [run["precision"] for run in report["runs"].values()] == ["fp32", "bf16"] * 2
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
