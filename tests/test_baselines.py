"""The paper's learnt baselines: SRCNN, DRCN and ESPCN, which enlarge luma alone."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

import sr.methods
from sr.checkpoint import save_weights
from sr.errors import SRError
from sr.inference import LumaNetwork, load_network
from sr.luma import luma, with_luma
from sr.methods import WEIGHTS, Upscaler, load
from sr.metrics import luma as rounded_luma
from sr.models import DRCN, ESPCN, SRCNN, architecture
from sr.resize import imresize

CPU = torch.device("cpu")
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


@pytest.mark.parametrize("name", [name for name in BASELINES if (WEIGHTS / f"{name}.safetensors").is_file()])
def test_shipped_weights_fit_their_cards(name):
    card = json.loads((WEIGHTS / f"{name}.json").read_text(encoding="utf-8"))
    assert architecture(load_network(WEIGHTS / f"{name}.safetensors")) == card["architecture"]
    assert card["name"] == name
    assert "/root" not in json.dumps(card)
    # Better than bicubic by what makes it worth its time.
    assert card["metrics"]["standard"]["Set5"]["psnr"] > 28.42 + 1
