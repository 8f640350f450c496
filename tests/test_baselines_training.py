"""Trainings of the paper's learnt baselines: SRCNN, DRCN and ESPCN."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import train
from sr.__main__ import main
from sr.checkpoint import load_checkpoint
from sr.config import load_config
from sr.errors import SRError
from sr.losses import RecursiveSupervisionLoss
from sr.luma import luma
from sr.resize import hr_and_lr, imresize
from sr.trainer import Trainer
from tests.tiny import SETTINGS, assert_equal, rows

CAT = Path(__file__).parents[1] / "demo" / "examples" / "hr" / "cat.png"
ALL = pytest.mark.parametrize("name", ["srcnn", "drcn", "espcn"])


def trainer(name: str, **settings) -> Trainer:
    small = {"channels": 8, "num_blocks": 3} if name == "drcn" else {}
    config = {"crop_size": 32, "batch_size": 2, "iterations": 100, "warmup_steps": 0, "precision": "fp32"}
    return Trainer(load_config(name, config | small | settings), torch.device("cpu"))


@ALL
def test_overfitting_a_picture_lowers_the_loss(name):
    run = trainer(name, lr=1e-3, schedule="constant", ema_decay=None)
    hr = torch.from_numpy(np.random.default_rng(0).integers(60, 190, (2, 32, 32, 3), dtype=np.uint8)).permute(
        0, 3, 1, 2
    )
    hr = imresize(imresize(hr, 0.5), 2)
    lr = imresize(hr, 0.25)
    losses = [run.train_step(lr, hr)["generator"].item() for _ in range(100)]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:3])


def test_soap_gets_farther_than_adam_where_pixels_are_alike():
    """Both at the best of a few rates; a photograph's details have a thousandth of the power of its brightness."""
    hr = torch.from_numpy(np.array(Image.open(CAT))[:160, :160]).permute(2, 0, 1)[None].contiguous()
    lr = imresize(hr, 0.25)

    def best(optimizer: str, rates: list[float], **settings) -> float:
        errors = []
        for rate in rates:
            run = trainer("espcn", optimizer=optimizer, lr=rate, schedule="cosine", ema_decay=None, **settings)
            errors.append([run.train_step(lr, hr)["content"].item() for _ in range(100)][-1])
        return min(errors)

    assert best("soap", [1e-3, 3e-3]) < 0.8 * best("adam", [1e-4, 3e-4, 1e-3], beta1=0.9, beta2=0.99)


def test_the_loss_is_the_mean_squared_error_of_luma():
    run = trainer("srcnn")
    lr, hr = (torch.randint(0, 256, (2, 3, side, side), dtype=torch.uint8) for side in (8, 32))
    with torch.no_grad():
        expected = (run.generator(luma(lr / 255)) - luma(hr / 255)).square().mean()
    assert run.train_step(lr, hr)["content"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_recursive_supervision_is_the_papers():
    predictions, hr = torch.rand(2, 1 + 3, 5, 5), torch.rand(2, 1, 5, 5)
    errors = [float((predictions[:, i : i + 1] - hr).square().mean()) for i in range(4)]
    expected = 0.3 * np.mean(errors[1:]) + 0.7 * errors[0]
    assert RecursiveSupervisionLoss(0.3)(predictions, hr).item() == pytest.approx(expected, rel=1e-5)


def test_the_share_of_the_intermediate_predictions_falls_to_zero():
    run = trainer("drcn", recursion_weight=0.8, iterations=4)
    hr = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    shares = []
    for _ in range(4):
        run.train_step(imresize(hr, 0.25), hr)
        shares.append(run.terms["content"][1].alpha)
    assert shares == pytest.approx([0.8, 0.6, 0.4, 0.2])


def test_weight_decay_pulls_weights_towards_zero():
    """With the gradient of the loss at zero, what is left is the penalty's."""
    run = trainer("espcn", optimizer="adam", weight_decay=0.1, content_weight=1e-12, clip_grad_norm=None)
    before = run.generator.conv1.weight.abs().sum().item()
    hr = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    run.train_step(imresize(hr, 0.25), hr)
    assert run.generator.conv1.weight.abs().sum().item() < before


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("srcnn", {"adversarial_weight": 1e-3}, "adversarial_weight 0.001 needs network srresnet"),
        ("espcn", {"content": "vgg54"}, "content vgg54 needs network srresnet"),
        ("espcn", {"tv_weight": 2e-8}, "tv_weight 2e-08 needs network srresnet"),
        ("drcn", {"freeze_batch_norm": True}, "freeze_batch_norm True needs"),
        ("srcnn", {"sync_batch_norm": True}, "sync_batch_norm True needs"),
        ("srcnn", {"recursion_weight": 0.5}, "recursion_weight is of network drcn"),
        ("drcn", {"recursion_weight": 1.5}, "between 0 and 1"),
        ("drcn", {"content": "l1"}, "content mse"),
        ("espcn", {"weight_decay": -1.0}, "weight_decay must be 0 or more"),
        ("espcn", {"weight_decay": 0.1}, "weight_decay 0.1 is Adam's: leave it out or set optimizer to adam"),
        ("espcn", {"optimizer": "sgd"}, "optimizer is 'sgd', expected one of adam, soap"),
        ("espcn", {"network": "edsr"}, "network is 'edsr', expected one of srcnn, drcn, espcn, srresnet"),
    ],
)
def test_settings_that_make_no_sense_are_refused(name, settings, words):
    with pytest.raises(SRError, match=words):
        load_config(name, settings)


def run_of(name: str, photos, out, *more: str) -> list[str]:
    common = ["--device", "cpu", "--data", str(photos), "--out", str(out)]
    return ["--config", name, *common, "--iterations", "20", "--set", *SETTINGS, "warmup_steps=2", *more]


@pytest.fixture(scope="module")
def photograph(tmp_path_factory) -> Path:
    """A benchmark of one photograph. On `benchmark`'s smooth picture, at 50 dB, weights in fp16 show."""
    folder = tmp_path_factory.mktemp("photograph")
    with Image.open(CAT) as cat:
        pictures = hr_and_lr(np.array(cat.convert("RGB"))[60:156, 100:196])
    for kind, image in zip(("HR", "LRx4"), pictures, strict=True):
        (folder / "Tiny" / kind).mkdir(parents=True)
        Image.fromarray(image).save(folder / "Tiny" / kind / "a.png")
    return folder


@ALL
def test_a_run_delivers_weights_that_work(name, photos, photograph, tmp_path, capsys):
    arguments = run_of(name, photos, tmp_path / "run")
    assert train.main([*arguments, "--benchmark", str(photograph), "--sets", "Tiny"]) == 0
    weights = tmp_path / "run" / f"{name}.safetensors"
    card = json.loads(weights.with_suffix(".json").read_text())
    assert card["architecture"]["name"] == name.upper()
    assert card["input"] == "luma in [0, 1], (N, 1, H, W)"
    assert name.upper() not in card["training"][0]["loss"]
    update = "Adam, beta2 0.999" if name == "drcn" else "SOAP (Adam in Shampoo's eigenbasis), betas 0.95 and 0.95"
    assert f"{update}, instead of SGD" in card["departures"]
    assert float([row for row in rows(tmp_path / "run") if row["psnr_standard"]][-1]["psnr_standard"]) == pytest.approx(
        card["metrics"]["standard"]["Tiny"]["psnr"], abs=0.05
    )
    with Image.open(CAT) as cat:
        cat.convert("RGB").crop((100, 60, 140, 90)).save(tmp_path / "a.png")
    upscale = ["upscale", str(tmp_path / "a.png"), "-o", str(tmp_path / "b.png"), "--method", name]
    assert main([*upscale, "--weights", str(weights)]) == 0
    assert Image.open(tmp_path / "b.png").size == (160, 120)
    evaluate = ["evaluate", "--benchmark", str(photograph), "--sets", "Tiny", "--methods", "bicubic", name]
    assert main([*evaluate, "--weights", f"{name}={weights}", "--protocol", "standard"]) == 0
    assert f"{card['metrics']['standard']['Tiny']['psnr']:.2f}" in capsys.readouterr().out


def test_a_resumed_run_equals_an_uninterrupted_one(photos, tmp_path):
    assert train.main(run_of("espcn", photos, tmp_path / "whole", "schedule=constant")) == 0
    first = run_of("espcn", photos, tmp_path / "parts", "schedule=constant")
    first[first.index("--iterations") + 1] = "10"
    assert train.main(first) == 0
    again = ["--resume", "--device", "cpu", "--data", str(photos), "--out", str(tmp_path / "parts")]
    assert train.main([*again, "--iterations", "20"]) == 0
    whole, parts = (load_checkpoint(tmp_path / run) for run in ("whole", "parts"))
    assert whole["step"] == parts["step"] == 20
    for part in ("generator", "average", "generator_optimizer", "config"):
        assert_equal(whole[part], parts[part])


def test_the_network_cannot_change_on_resume_or_by_its_start(photos, trained, tmp_path, capsys):
    data = ["--device", "cpu", "--data", str(photos)]
    assert train.main(["--resume", *data, "--out", str(trained), "--set", "network=espcn"]) == 2
    assert "network cannot change on --resume" in capsys.readouterr().err
    assert train.main([*run_of("espcn", photos, tmp_path), f"init={trained / 'srresnet.safetensors'}"]) == 2
    assert "the configuration asks for {'name': 'ESPCN'" in capsys.readouterr().err
