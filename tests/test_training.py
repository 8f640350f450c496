import csv
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import train
from sr.checkpoint import load_checkpoint

ROOT = Path(__file__).parents[1]
TINY = ["num_blocks=1", "channels=8", "discriminator_channels=4", "crop_size=32", "batch_size=2", "log_steps=2"]
SRRESNET = ["--config", "srresnet-mse-budget", "--device", "cpu", "--set", *TINY, "warmup_steps=2"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Smooth random pictures."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for i in range(4):
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        coarse.resize((96, 96), Image.Resampling.BICUBIC).save(folder / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory, photos) -> Path:
    folder = tmp_path_factory.mktemp("benchmark")
    for kind, size in (("HR", 96), ("LRx4", 24)):
        (folder / "Tiny" / kind).mkdir(parents=True)
        with Image.open(photos / "0.png") as image:
            image.resize((size, size)).save(folder / "Tiny" / kind / "a.png")
    return folder


@pytest.fixture(scope="module")
def vgg(vgg_files) -> Path:
    return vgg_files["VGG16"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, photos, benchmark) -> Path:
    """The folder of a finished run of 30 steps."""
    out = tmp_path_factory.mktemp("runs") / "srresnet"
    arguments = [*SRRESNET, "--data", str(photos), "--out", str(out), "--iterations", "30"]
    assert train.main([*arguments, "--benchmark", str(benchmark), "--sets", "Tiny"]) == 0
    return out


def rows(out: Path) -> list[dict[str, str]]:
    with open(out / "log.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_delivers_weights_card_log_and_config(trained):
    assert (trained / "config.yaml").read_text().startswith("name: srresnet\n")
    state = load_file(trained / "srresnet.safetensors")
    assert {value.dtype for value in state.values()} == {torch.float16, torch.int64}
    card = json.loads((trained / "srresnet.json").read_text())
    assert card["architecture"] == {"name": "SRResNet", "num_blocks": 1, "channels": 8, "scale": 4}
    (stage,) = card["training"]
    assert (stage["steps"], stage["patches"], stage["loss"]) == (30, 60, "1 * l1")
    assert stage["data"]["images"] == 4
    assert set(card["metrics"]) == {"paper", "standard"}
    assert any("L1 instead of MSE" in departure for departure in card["departures"])
    validation = [row["psnr_standard"] for row in rows(trained) if row["psnr_standard"]]
    shipped = card["metrics"]["standard"]["Tiny"]["psnr"]
    assert float(validation[-1]) == pytest.approx(shipped, abs=0.05)  # fp16 weights against fp32


def test_training_lowers_the_loss(trained):
    losses = [float(row["generator"]) for row in rows(trained) if row["generator"]]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:3])


def test_weights_work_in_sr_load(trained):
    import sr

    picture = sr.load("srresnet", weights=trained / "srresnet.safetensors").upscale(Image.new("RGB", (10, 8)))
    assert picture.size == (40, 32)


@pytest.mark.parametrize("kind", ["srresnet", "srgan"])
def test_resumed_run_equals_an_uninterrupted_one(kind, photos, vgg, trained, tmp_path):
    preset = "srresnet-mse-budget" if kind == "srresnet" else "srgan-vgg54-budget"
    start = ["--config", preset, "--device", "cpu", "--set", *TINY, "warmup_steps=4", "schedule=constant"]
    start += ["--data", str(photos), "--vgg", str(vgg), "--init", str(trained / "srresnet.safetensors")]
    assert train.main([*start, "--out", str(tmp_path / "whole"), "--iterations", "6"]) == 0
    again = ["--data", str(photos), "--vgg", str(vgg), "--device", "cpu", "--out", str(tmp_path / "parts")]
    assert train.main([*start, "--out", str(tmp_path / "parts"), "--iterations", "3"]) == 0
    assert train.main(["--resume", *again, "--iterations", "6"]) == 0
    whole, resumed = (load_checkpoint(tmp_path / name / "checkpoint.pt") for name in ("whole", "parts"))
    parts = {"generator", "average", "generator_optimizer"}
    parts |= {"discriminator", "discriminator_optimizer"} if kind == "srgan" else set()
    assert parts < set(whole)
    for part in parts:
        assert_equal(whole[part], resumed[part])
    assert [row["step"] for row in rows(tmp_path / "parts")] == ["2", "3", "4", "6"]


def assert_equal(a: object, b: object) -> None:
    """Nested dicts, lists and tensors, bit for bit."""
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        a, b = list(a.values()), list(b.values())
    if isinstance(a, list):
        for x, y in zip(a, b, strict=True):
            assert_equal(x, y)
    else:
        assert torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


def test_interruption_saves_and_says_how_to_go_on(photos, vgg, trained, tmp_path):
    start, out = tmp_path / "start", tmp_path / "run"
    shutil.copytree(trained, start)
    command = [sys.executable, "train.py", "--config", "srgan-vgg54-budget", "--device", "cpu", "--set", *TINY]
    command += ["--init", str(start / "srresnet.safetensors"), "--vgg", str(vgg)]
    command += ["--data", str(photos), "--out", str(out), "--iterations", "100000"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline = time.monotonic() + 120
    while not (out / "log.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0, printed
    done = load_checkpoint(out / "checkpoint.pt")["step"]
    shutil.rmtree(start)  # the checkpoint is all that going on needs
    (resume,) = re.findall(r"continue with: python train.py (.*)", printed)
    assert train.main([*shlex.split(resume), "--device", "cpu", "--iterations", str(done + 2)]) == 0
    assert load_checkpoint(out / "checkpoint.pt")["step"] == done + 2
    stages = json.loads((out / "srgan.json").read_text())["training"]
    assert [stage["config"]["name"] for stage in stages] == ["srresnet", "srgan"]


def test_time_budget_finishes_its_schedule(photos, tmp_path):
    started = time.monotonic()
    assert train.main([*SRRESNET, "--data", str(photos), "--out", str(tmp_path / "r"), "--minutes", "0.05"]) == 0
    assert time.monotonic() - started < 60
    last = rows(tmp_path / "r")[-1]
    assert float(last["lr"]) == pytest.approx(0, abs=1e-9)  # cosine to zero at the budget's end
    assert float(last["seconds"]) >= 3


def test_divergence_stops_with_the_step_and_keeps_the_checkpoint(photos, trained, tmp_path, capsys):
    arguments = ["--data", str(photos), "--out", str(tmp_path / "r"), "--iterations", "50"]
    settings = ["content=mse", "clip_grad_norm=null", "checkpoint_minutes=1e-9", "lr=1e30"]
    assert train.main([*SRRESNET, *settings, *arguments]) == 2
    error = capsys.readouterr().err
    assert "not finite" in error
    assert "step " in error
    state = load_checkpoint(tmp_path / "r" / "checkpoint.pt")
    assert 1 <= state["step"] < 50


def test_dry_run_checks_everything_and_writes_nothing(photos, tmp_path, capsys):
    assert train.main([*SRRESNET, "--data", str(photos), "--out", str(tmp_path / "r"), "--dry-run"]) == 0
    assert not (tmp_path / "r").exists()
    printed = capsys.readouterr().out
    assert "batch_size: 2" in printed
    assert "4 images" in printed


def test_user_errors_are_one_sentence(photos, trained, tmp_path, capsys):
    data, out = ["--data", str(photos)], ["--out", str(tmp_path / "r")]
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "checkpoint.pt").write_bytes((trained / "checkpoint.pt").read_bytes()[:5000])
    cases = {
        "unknown key 'foo'": [*SRRESNET, "foo=1", *data, *out],
        "no configuration 'foo'": ["--config", "foo", *data, *out],
        "no such folder": [*SRRESNET, "--data", str(tmp_path / "absent"), *out],
        "--resume continues it": [*SRRESNET, *data, "--out", str(trained)],
        "nothing to resume": ["--resume", *data, *out],
        "is damaged": ["--resume", *data, "--out", str(tmp_path / "damaged")],
        "the configuration asks for": [
            *SRRESNET,
            "channels=4",
            *data,
            *out,
            "--init",
            str(trained / "srresnet.safetensors"),
        ],
        "absent.safetensors is missing": [*SRRESNET, *data, *out, "--init", str(tmp_path / "absent.safetensors")],
        "device 'gpu' is not usable": [*SRRESNET, *data, *out, "--device", "gpu"],
    }
    for message, arguments in cases.items():
        assert train.main(arguments) == 2, message
        error = capsys.readouterr().err
        assert message in error
        assert error.startswith("error: ")
    assert not (tmp_path / "r").exists()
    assert os.listdir(tmp_path / "damaged") == ["checkpoint.pt"]


def test_list_names_the_papers_five(capsys):
    assert train.main(["--list"]) == 0
    listed = capsys.readouterr().out.split()
    assert {"srresnet-mse", "srresnet-vgg22", "srgan-mse", "srgan-vgg22", "srgan-vgg54"} <= set(listed)
