import gc
import json
import os
import re
import time
import weakref

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import train
from sr.checkpoint import checkpoints, load_checkpoint
from sr.config import load_config
from sr.trainer import Trainer
from tests.networks import save_weights, small_net
from tests.tiny import SETTINGS, SRRESNET, rows


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


@pytest.mark.parametrize(("features", "precision"), [({}, "fp32"), ({"avx512_bf16": True}, "bf16")])
def test_a_preset_takes_bf16_where_the_cpu_has_it(features, precision, photos, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: features)
    arguments = ["--data", str(photos), "--out", str(tmp_path / "r"), "--iterations", "2"]
    assert train.main([*SRRESNET, *arguments]) == 0
    assert f"cpu in {precision}" in capsys.readouterr().out
    (stage,) = json.loads((tmp_path / "r" / "srresnet.json").read_text())["training"]
    assert (stage["precision"], stage["config"]["precision"]) == (precision, "auto")


def test_emulated_bf16_is_refused(photos, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("torch.cpu.get_capabilities", dict)
    arguments = ["--data", str(photos), "--out", str(tmp_path / "r"), "--iterations", "2"]
    assert train.main([*SRRESNET, "precision=bf16", *arguments]) == 2
    assert "precision=auto" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_time_budget_finishes_its_schedule(photos, tmp_path):
    started = time.monotonic()
    assert train.main([*SRRESNET, "--data", str(photos), "--out", str(tmp_path / "r"), "--minutes", "0.05"]) == 0
    assert time.monotonic() - started < 60
    last = rows(tmp_path / "r")[-1]
    assert float(last["lr"]) == pytest.approx(0, abs=1e-9)  # cosine to zero at the budget's end
    assert float(last["seconds"]) >= 3


@pytest.mark.parametrize(
    ("content", "named"), [("mse", "the content loss"), ("l1", "the generator's gradient|the content loss")]
)
def test_divergence_stops_with_the_step_and_the_term(content, named, photos, tmp_path, capsys):
    arguments = ["--data", str(photos), "--out", str(tmp_path / "r"), "--iterations", "50"]
    settings = [f"content={content}", "clip_grad_norm=null", "checkpoint_minutes=1e-9", "lr=1e30"]
    assert train.main([*SRRESNET, *settings, *arguments]) == 2
    assert re.search(rf"step \d+: ({named}) is not finite", capsys.readouterr().err)
    state = load_checkpoint(tmp_path / "r")
    assert 1 <= state["step"] < 50
    assert all(value.isfinite().all() for value in state["generator"].values())


def test_a_gan_is_watched(photos, trained, vgg_files, benchmark, tmp_path):
    """The log tells a working discriminator from a blind one, and a picture shows what G makes."""
    arguments = [
        "--config",
        "srgan-vgg54-cpu",
        "--device",
        "cpu",
        "--set",
        *SETTINGS,
        "lr=1e-12",
        "discriminator_lr=0.01",
        "label_smoothing=0",
        "shift_losses=false",
    ]
    arguments += ["ema_decay=null", "warmup_steps=0", "schedule=constant", "batch_size=4", "augment=false"]
    arguments += [
        "--data",
        str(photos),
        "--vgg",
        str(vgg_files["VGG16"]),
        "--init",
        str(trained / "srresnet.safetensors"),
    ]
    arguments += ["--benchmark", str(benchmark), "--sets", "Tiny", "--out", str(tmp_path), "--iterations", "60"]
    assert train.main(arguments) == 0
    steps = [row for row in rows(tmp_path) if row["d_accuracy"]]
    assert all(0 <= float(row["d_accuracy"]) <= 1 and float(row["colour_shift"]) >= 0 for row in steps)
    # G stands still, so that D learns to tell it from photographs.
    assert float(steps[-1]["d_accuracy"]) > 0.9
    assert float(steps[-1]["d_real"]) > 0.5 > float(steps[-1]["d_fake"])
    assert all(float(row["grad_norm_g"]) > 0 and float(row["grad_norm_d"]) > 0 for row in steps)
    assert all(0 <= float(row["data_wait"]) < 1 for row in steps)
    with Image.open(tmp_path / "samples" / "step-0000060.png") as picture:
        assert picture.width > 4 * 96
    assert list((tmp_path / "tensorboard").glob("events.*"))


def test_colour_shift_is_measured():
    """A generator whose output is 10 levels too red, on grey crops."""
    config = load_config("srresnet-mse", {"num_blocks": 1, "channels": 4, "crop_size": 32, "lr": 1e-12})
    trainer = Trainer(config, torch.device("cpu"))
    with torch.no_grad():
        trainer.generator.tail_conv.weight.zero_()
        trainer.generator.tail_conv.bias.copy_(torch.tensor([10 / 127.5, 0, 0]))
    grey = torch.full((2, 3, 8, 8), 127, dtype=torch.uint8), torch.full((2, 3, 32, 32), 128, dtype=torch.uint8)
    assert trainer.train_step(*grey)["colour_shift"].item() == pytest.approx(9.5, abs=1e-3)


def test_shifts_before_the_losses_move_sr_and_hr_together():
    """What compares pixel by pixel does not notice them; a crop's content and gradient stay the same."""
    lr = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    hr = lr.repeat_interleave(4, 2).repeat_interleave(4, 3)
    logged = []
    for shift_losses in (False, True):
        settings = {"num_blocks": 1, "channels": 4, "crop_size": 32, "content": "l1", "shift_losses": shift_losses}
        trainer = Trainer(load_config("srresnet-mse", settings), torch.device("cpu"))
        logged.append([trainer.train_step(lr, hr) for _ in range(5)])
    for still, shifted in zip(*logged, strict=True):
        for name in ("content", "grad_norm_g", "colour_shift"):
            assert shifted[name].item() == pytest.approx(still[name].item(), rel=1e-3), name


def test_a_trainer_is_freed_when_nobody_holds_it():
    """The next training needs its memory, and processes that train together must leave their group before they end."""
    config = load_config("srgan-mse", {"num_blocks": 1, "channels": 4, "discriminator_channels": 4, "crop_size": 32})
    trainer = Trainer(config, torch.device("cpu"))
    trainer.train_step(*(torch.zeros(2, 3, side, side, dtype=torch.uint8) for side in (8, 32)))
    gone = weakref.ref(trainer)
    gc.disable()
    try:
        del trainer
        assert gone() is None
    finally:
        gc.enable()


def test_compiled_networks_keep_their_names():
    small = {"num_blocks": 1, "channels": 8, "discriminator_channels": 4, "crop_size": 32, "ema_decay": 0.9}
    plain, compiled = (
        Trainer(load_config("srgan-mse", small | {"compile": mode}), torch.device("cpu")).state_dict()
        for mode in ("never", "always")
    )
    for part in ("generator", "discriminator", "average"):
        assert plain[part].keys() == compiled[part].keys()


def test_dry_run_checks_everything_and_writes_nothing(photos, tmp_path, capsys):
    arguments = ["--data", str(photos), "--out", str(tmp_path / "r"), "--dry-run", "--set", "seed=5"]
    assert train.main([*SRRESNET, *arguments]) == 0
    assert not (tmp_path / "r").exists()
    printed = capsys.readouterr().out
    assert "batch_size: 2" in printed
    assert "seed: 5" in printed
    assert "4 images" in printed


def test_user_errors_are_one_sentence(photos, trained, tmp_path, capsys):
    data, out = ["--data", str(photos)], ["--out", str(tmp_path / "r")]
    (tmp_path / "damaged").mkdir()
    whole = checkpoints(trained)[0]
    (tmp_path / "damaged" / whole.name).write_bytes(whole.read_bytes()[:5000])
    cases = {
        "unknown key 'foo'": [*SRRESNET, "foo=1", *data, *out],
        "no configuration 'foo'": ["--config", "foo", *data, *out],
        "no such folder": [*SRRESNET, "--data", str(tmp_path / "absent"), *out],
        "--resume continues it": [*SRRESNET, *data, "--out", str(trained)],
        "nothing to resume": ["--resume", *data, *out],
        "channels cannot change on --resume": ["--resume", *data, "--out", str(trained), "--set", "channels=4"],
        "sync_batch_norm works on CUDA": [*SRRESNET, "sync_batch_norm=true", *data, *out],
        "are damaged": ["--resume", *data, "--out", str(tmp_path / "damaged")],
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
        assert error.splitlines()[-1].startswith("error: ")
    assert not (tmp_path / "r").exists()
    assert os.listdir(tmp_path / "damaged") == [whole.name]


def test_list_names_the_papers_five(capsys):
    assert train.main(["--list"]) == 0
    listed = capsys.readouterr().out.split()
    assert {"srresnet-mse", "srresnet-vgg22", "srgan-mse", "srgan-vgg22", "srgan-vgg54"} <= set(listed)


def test_the_card_names_a_start_from_another_gan(photos, tmp_path):
    for name, named in (("srresnet", False), ("srgan", True)):
        weights, out = tmp_path / f"{name}.safetensors", tmp_path / f"from {name}"
        net = small_net(num_blocks=1)
        save_weights(weights, net, {"name": name, "architecture": {"name": "SRResNet", **net.config()}})
        command = ["--config", "srgan-mse-cpu", "--data", str(photos), "--out", str(out), "--init", str(weights)]
        assert train.main([*command, "--iterations", "1", "--device", "cpu", "--set", *SETTINGS]) == 0
        departures = json.loads((out / "srgan-mse.json").read_text())["departures"]
        assert ("the generator starts from srgan instead of srresnet" in departures) == named
