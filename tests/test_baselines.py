"""The paper's learnt baselines: SRCNN, DRCN and ESPCN, which enlarge luma alone."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import sr.methods
import train
from sr.__main__ import main
from sr.checkpoint import load_checkpoint, save_weights
from sr.config import load_config
from sr.errors import SRError
from sr.inference import LumaNetwork, load_network
from sr.losses import RecursiveSupervisionLoss
from sr.luma import luma, with_luma
from sr.methods import WEIGHTS, Upscaler, load
from sr.metrics import luma as rounded_luma
from sr.models import DRCN, ESPCN, SRCNN, architecture
from sr.resize import hr_and_lr, imresize
from sr.trainer import Trainer
from tests.tiny import SETTINGS, assert_equal, rows

CPU = torch.device("cpu")
CAT = Path(__file__).parents[1] / "demo" / "examples" / "hr" / "cat.png"
BASELINES = ("srcnn", "drcn", "espcn")
ALL = pytest.mark.parametrize("name", BASELINES)


def network(name: str) -> torch.nn.Module:
    """Random weights that change the picture visibly, but by little."""
    torch.manual_seed(0)
    net = {"srcnn": SRCNN, "drcn": lambda: DRCN(channels=8, recursions=4), "espcn": ESPCN}[name]()
    with torch.no_grad():
        last = {"srcnn": "reconstruct", "drcn": "reconstruct2", "espcn": "conv3"}[name]
        weight = net.get_submodule(last).weight
        weight.mul_(name != "drcn").add_(torch.randn(weight.shape) * 0.003)
    return net.eval()


def upscaler(name: str, **options) -> Upscaler:
    return Upscaler(name, LumaNetwork(network(name), CPU, "fp32"), **options)


def picture(height: int = 30, width: int = 40) -> np.ndarray:
    """Smooth colours, away from black and white so that nothing is clipped, uint8 (height, width, 3)."""
    coarse = np.random.default_rng(0).integers(90, 160, (5, 5, 3), dtype=np.uint8)
    return np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def as_tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image.copy()).permute(2, 0, 1)[None].double() / 255


def chroma(rgb: torch.Tensor) -> torch.Tensor:
    """Cb and Cr of RGB in [0, 1], in 1/255 and without the offset: ITU-R BT.601 as MATLAB's rgb2ycbcr has it."""
    matrix = torch.tensor([[-37.797, -74.203, 112], [112, -93.786, -18.214]], dtype=torch.float64)
    return torch.einsum("cr,nrhw->nchw", matrix, rgb)


def trainer(name: str, **settings) -> Trainer:
    small = {"channels": 8, "num_blocks": 3} if name == "drcn" else {}
    config = {"crop_size": 32, "batch_size": 2, "iterations": 100, "warmup_steps": 0, "precision": "fp32"}
    return Trainer(load_config(name, config | small | settings), CPU)


def test_srcnn_is_the_papers():
    net = SRCNN()
    assert [tuple(conv.weight.shape) for conv in (net.extract, net.map, net.reconstruct)] == [
        (64, 1, 9, 9),
        (32, 64, 5, 5),
        (1, 32, 5, 5),
    ]
    assert sum(value.numel() for key, value in net.state_dict().items() if "weight" in key) == 57_184  # the paper's
    assert sum(parameter.numel() for parameter in net.parameters()) == 57_281


def test_espcn_is_the_papers():
    net = ESPCN()
    assert [tuple(conv.weight.shape) for conv in (net.conv1, net.conv2, net.conv3)] == [
        (64, 1, 5, 5),
        (32, 64, 3, 3),
        (16, 32, 3, 3),
    ]
    assert sum(parameter.numel() for parameter in net.parameters()) == 24_640 + 112


def test_drcn_is_the_papers():
    net = DRCN()
    assert sum(parameter.numel() for parameter in net.parameters()) == 1_775_121  # the paper's 1.77 M
    assert net.recursions == 16
    assert all(conv.kernel_size == (3, 3) for conv in net.modules() if isinstance(conv, torch.nn.Conv2d))


def test_drcn_sees_41_pixels_a_side():
    net = DRCN(channels=2).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.fill_(0.1)  # nothing cancels out
    enlarged = torch.rand(1, 1, 61, 61, dtype=torch.float64, requires_grad=True)
    at_hr = DRCN(2, scale=1).double().eval()  # enlarging by 1 leaves the picture as it is
    at_hr.load_state_dict(net.state_dict())
    at_hr(enlarged)[0, 0, 30, 30].backward()
    seen = (enlarged.grad[0, 0] != 0).nonzero()
    assert (seen.min().item(), seen.max().item()) == (30 - 20, 30 + 20)


@ALL
def test_sizes_and_the_receptive_field(name):
    net = network(name).double()
    assert net(torch.rand(2, 1, 7, 9, dtype=torch.float64)).shape == (2, 1, 28, 36)
    radius = net.receptive_radius
    image = 0.2 + 0.6 * torch.rand(1, 1, 2 * radius + 5, 2 * radius + 5, dtype=torch.float64)
    changed = image.clone()
    changed[..., 0, 0] += 0.5
    difference = (net(image) - net(changed)).abs().amax((0, 1))
    assert difference[4 * radius + 4 :].max() == 0
    assert difference[: 4 * radius].max() > 0


def test_drcn_gives_every_prediction_while_training():
    net = network("drcn").train()
    image = torch.rand(2, 1, 6, 5)
    output = net(image)
    assert output.shape == (2, 1 + 4, 24, 20)
    assert output[:, :1].allclose(output[:, 1:].mean(1, keepdim=True), atol=1e-6)  # equal shares at first
    assert output[:, :1].equal(net.eval()(image))


def test_untrained_srcnn_is_bicubic():
    image = luma(as_tensor(picture()).float())
    assert SRCNN()(image).allclose(imresize(image, 4), atol=1e-6)


def test_luma_is_the_metrics_before_rounding():
    image = np.random.default_rng(0).integers(0, 256, (50, 50, 3), dtype=np.uint8)
    assert np.abs(luma(as_tensor(image))[0, 0].numpy() * 255 - rounded_luma(image, "standard")).max() <= 0.5


def test_another_luma_leaves_the_chroma_alone():
    rgb, wanted = as_tensor(picture()), torch.rand(1, 1, 30, 40, dtype=torch.float64)
    result = with_luma(rgb, wanted)
    assert luma(result).allclose(wanted, atol=1e-12)
    assert chroma(result).allclose(chroma(rgb), atol=1e-10)


@ALL
def test_luma_is_the_networks_and_chroma_is_bicubic(name):
    image = picture()
    result, lr = as_tensor(upscaler(name).upscale(image)), as_tensor(image)
    # Rounding R, G and B moves each by at most half a level, so chroma by half of what its weights sum to.
    assert (chroma(result) - chroma(imresize(lr, 4))).abs().max() <= 0.5 * 224 / 255 + 1e-6
    expected = network(name).double()(luma(lr))
    assert (luma(result) - expected).abs().max() <= 0.5 * 219 / 255**2 + 1e-6
    assert (luma(result) - luma(imresize(lr, 4))).abs().max() > 2 / 255


@ALL
def test_tiles_equal_the_whole_picture(name):
    image = picture(90, 70)
    whole = upscaler(name, tile=1000).upscale(image)
    progress = []
    tiled = upscaler(name, tile=48).upscale(image, progress=lambda done, total: progress.append(total))
    assert progress[-1] > 4
    assert np.abs(tiled.astype(int) - whole).max() <= 1  # in rounding
    assert np.mean(tiled != whole) < 1e-3


@ALL
def test_grey_stays_grey_and_all_kinds_of_images_work(name):
    method, grey = upscaler(name), picture()[..., 0]
    colour = method.upscale(np.dstack([grey] * 3))
    assert (colour == colour[..., :1]).all()
    assert (method.upscale(grey) == colour[..., 0]).all()
    for mode in ("L", "LA", "RGB", "RGBA"):
        result = method.upscale(Image.fromarray(picture()).convert(mode))
        assert (result.mode, result.size) == (mode, (160, 120))
    alpha = np.random.default_rng(0).integers(0, 256, (30, 40), dtype=np.uint8)
    result = method.upscale(np.dstack([picture(), alpha]))
    assert (result[..., 3] == load("bicubic").upscale(alpha)).all()


@ALL
@pytest.mark.parametrize("weights", ["saved", "absent"])
def test_weights(name, weights, tmp_path, monkeypatch):
    monkeypatch.setattr(sr.methods, "WEIGHTS", tmp_path)
    if weights == "absent":
        with pytest.raises(SRError, match=f"{name} comes without weights.*train.py --config {name}.*--weights"):
            load(name)
        return
    net = network(name)
    path = save_weights(tmp_path, name, net.half().float().state_dict(), {"architecture": architecture(net)})
    restored = load_network(path)
    assert type(restored) is type(net)
    image = torch.rand(1, 1, 9, 8)
    assert restored(image).equal(net(image))
    assert (load(name, device="cpu").upscale(picture()) == upscaler_of(net).upscale(picture())).all()


def upscaler_of(net: torch.nn.Module) -> Upscaler:
    return Upscaler("saved", LumaNetwork(net, CPU, "fp32"))


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
    Image.fromarray(picture()).save(tmp_path / "a.png")
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


@pytest.mark.parametrize("name", [name for name in BASELINES if (WEIGHTS / f"{name}.safetensors").is_file()])
def test_shipped_weights_fit_their_cards(name):
    card = json.loads((WEIGHTS / f"{name}.json").read_text(encoding="utf-8"))
    assert architecture(load_network(WEIGHTS / f"{name}.safetensors")) == card["architecture"]
    assert card["name"] == name
    assert "/root" not in json.dumps(card)
    # Better than bicubic by what makes it worth its time.
    assert card["metrics"]["standard"]["Set5"]["psnr"] > 28.42 + 1
