"""A small network, its file, and pictures to run it on."""

import copy
import json
from functools import cache
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from sr.files import sha256
from sr.models import SRResNet
from sr.quantize import calibrate
from sr.runtimes import int8


@cache
def small_net(num_blocks=2, channels=8) -> SRResNet:
    """A network with the statistics of batch normalisation and outputs that a trained one would have."""
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = SRResNet(num_blocks, channels).train()
        for _ in range(20):
            net(torch.rand(4, 3, 16, 16, generator=generator))
    net.eval()
    with torch.inference_mode():
        output = net(torch.rand(1, 3, 32, 32, generator=generator))
        net.tail_conv.weight /= 2 * output.std()
        net.tail_conv.bias -= (output.mean() / (2 * output.std())).item()
    return net


def picture(height, width) -> np.ndarray:
    """Noise, edges and slopes, uint8 (height, width, 3)."""
    y, x = np.mgrid[:height, :width]
    slopes = np.stack([x * 255 / width, y * 255 / height, (x // 7 + y // 5) % 2 * 255], -1)
    noise = np.random.default_rng(0).normal(0, 20, slopes.shape)
    return (slopes + noise * (x > width / 2)[..., None]).clip(0, 255).astype(np.uint8)


def difference(a, b) -> int:
    return int(np.abs(np.asarray(a).astype(int) - np.asarray(b).astype(int)).max())


def save_weights(path, net, card=None) -> None:
    save_file({key: v.half() if v.is_floating_point() else v for key, v in net.state_dict().items()}, path)
    card = {"architecture": {"name": "SRResNet", **net.config()}} if card is None else card
    path.with_suffix(".json").write_text(card if isinstance(card, str) else json.dumps(card))


def save_reddish(path: Path, net: SRResNet, levels: float) -> Path:
    """The network's weights, but its pictures are so many levels of 255 too red."""
    card = {"architecture": {"name": "SRResNet", **net.config()}, "departures": ["L1"], "metrics": {"paper": {}}}
    net = copy.deepcopy(net)
    with torch.no_grad():
        net.tail_conv.bias[0] += levels / 127.5
    save_weights(path, net, card)
    return path


def save_with_int8(file: Path) -> None:
    """The small network with settings for int8 that name no loss."""
    save_weights(file, small_net())
    ranges = calibrate(small_net(), [picture(40, 40)])
    int8.write(int8.Int8(sha256(file), ranges, (0, 0, 0), {"crops": 0.0}, "a test"), file)
