"""Running a method on a window: engines in torch, devices, and loading a network's weights."""

import copy
import json
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from sr.errors import SRError
from sr.luma import luma, with_luma
from sr.methods import Engine
from sr.models import NETWORKS, SRResNet
from sr.precision import DTYPES
from sr.resize import imresize, nearest

ARCHITECTURES = {kind.__name__: kind for kind in NETWORKS.values()}


# LR pixels around a pixel that `spread_colour` reads.
SPREAD = 6


def overlap_for(radius: int) -> int:
    """LR pixels that windows must see around what they keep, for a network of this receptive radius.

    What lies near the radius of a deep network matters little: with a trained SRResNet of 16 blocks (radius 40) an
    overlap of 20 changed pixels of photographs by up to 0.5 of 255 levels, 24 by up to 0.02. Shallow ones need it all.
    """
    return min(radius, max(24, math.ceil(0.7 * radius)))


class Filter:
    """A fixed filter, "nearest" or "bicubic", as an engine (`sr.methods.Engine`).

    nearest takes any number of channels; alpha is one of them.
    """

    runtime = "torch"
    precision = "fp32"
    scale = 4
    tile = 256

    def __init__(self, name: str, device: torch.device):
        self.device = str(device)
        self.any_planes = name == "nearest"
        self._resize = nearest if name == "nearest" else imresize
        self.overlap = 0 if name == "nearest" else 2 + SPREAD  # bicubic reads 2 pixels around

    def __call__(self, window: np.ndarray) -> np.ndarray:
        return _to_array(self._resize(_to_tensor(window).to(self.device), self.scale))


class Network:
    """SRResNet as an engine (`sr.methods.Engine`), on one device in one precision."""

    runtime = "torch"
    any_planes = False

    def __init__(self, net: SRResNet, device: torch.device, precision: str):
        self.device, self.precision, self.scale, self.tile = str(device), precision, net.scale, net.tile
        self.overlap = overlap_for(net.receptive_radius)
        self._dtype = DTYPES[precision]
        self._net = fold_batch_norms(net).to(device, self._dtype, memory_format=torch.channels_last)

    @torch.inference_mode()
    def __call__(self, window: np.ndarray) -> np.ndarray:
        lr = _to_tensor(window).to(self.device).to(self._dtype) / 255
        sr = self._net(lr).float()
        return _to_array(((sr + 1) * 127.5).round_().clamp_(0, 255).to(torch.uint8))


class LumaNetwork:
    """A network that enlarges luma as an engine (`sr.methods.Engine`): Y by the network, Cb and Cr by bicubic."""

    runtime = "torch"
    any_planes = False

    def __init__(self, net: nn.Module, device: torch.device, precision: str):
        self.device, self.precision, self.scale, self.tile = str(device), precision, net.scale, net.tile
        self.overlap = net.receptive_radius + SPREAD
        self._dtype = DTYPES[precision]
        self._net = copy.deepcopy(net).eval().to(device, self._dtype, memory_format=torch.channels_last)

    @torch.inference_mode()
    def __call__(self, window: np.ndarray) -> np.ndarray:
        lr = _to_tensor(window).to(self.device).float() / 255
        sr = self._net(luma(lr).to(self._dtype)).float()
        return _to_array((with_luma(imresize(lr, self.scale), sr) * 255).round_().clamp_(0, 255).to(torch.uint8))


def engine(net: nn.Module, device: torch.device, precision: str) -> Engine:
    """One of `sr.models.NETWORKS` as an engine in torch."""
    return (LumaNetwork if net.is_luma else Network)(net, device, precision)


def resolve_device(name: str) -> torch.device:
    """The device for "auto", "cpu", "cuda", "cuda:N" or "mps"; auto takes CUDA, else MPS, else the CPU.

    Raises SRError for another name or a device that is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda", "mps"):
        raise SRError(f"unknown device {name!r}; use auto, cpu, cuda, cuda:N or mps")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == "cuda" and (device.index or 0) >= count:
        raise SRError(f"device {name} is not there (CUDA devices found: {count}); use auto or cpu")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise SRError("device mps is not there; use auto or cpu")
    return device


def load_network(weights: Path) -> nn.Module:
    """The network in `weights` (safetensors, any floating precision), fp32 on the CPU, in evaluation mode.

    Its architecture comes from the model card next to it, the JSON file of the same stem.
    Raises SRError, naming the file, when one of the two is missing, damaged or does not fit the other.
    """
    card_path = weights.with_suffix(".json")
    for path in (weights, card_path):
        if not path.is_file():
            what = "weights file" if path == weights else f"model card, which {weights.name} needs next to it"
            raise SRError(f"{path} is missing: there is no such {what}")
    try:
        architecture = dict(json.loads(card_path.read_bytes())["architecture"])
        kind = ARCHITECTURES[architecture.pop("name")]
        # The initial weights must not be drawn from the caller's random numbers. (On the meta device there would be
        # none, but random numbers there import torch's compiler, which takes 2 s.)
        with torch.random.fork_rng(devices=[]):
            net = kind(**architecture)
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise SRError(f"{card_path} describes no known architecture ({', '.join(ARCHITECTURES)}): {error!r}") from error
    try:
        state = load_file(weights)
    except (SafetensorError, OSError) as error:
        raise SRError(f"{weights} is not a readable safetensors file: {error}") from error
    _check_fit(state, net.state_dict(), f"{weights} does not fit the architecture in {card_path.name}")
    net.load_state_dict({key: v.float() if v.is_floating_point() else v for key, v in state.items()}, assign=True)
    return net.eval().requires_grad_(False)


def enlarge_alpha(alpha: np.ndarray, scale: int) -> np.ndarray:
    """Bicubic interpolation of uint8 (H, W, 1)."""
    return _to_array(imresize(_to_tensor(alpha), scale))


def spread_colour(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Replace the colours of transparent pixels by those of their visible neighbours, so that none of them can leak.

    colour: uint8 (H, W, 3), not premultiplied. alpha: uint8 (H, W, 1). Returns uint8 (H, W, 3).
    A pixel keeps its colour in proportion to its alpha relative to the largest one in the 5x5 pixels around it; the
    rest is the alpha-weighted (premultiplied) mean of its surroundings, up to 4 pixels far. Premultiplied colours
    themselves would have to leave a network with the very edges that alpha gets: dividing by alpha turns any difference
    into a dark or bright seam.
    """
    visible = _to_tensor(alpha).float()
    if visible.min() == 255:
        return colour
    result = _to_tensor(colour).float()
    weight = visible / F.max_pool2d(visible, 5, 1, 2).clamp(min=1)
    for _ in range(4):
        around = F.avg_pool2d(weight, 3, 1, 1)
        mean = F.avg_pool2d(result * weight, 3, 1, 1) / around.clamp(min=1e-6)
        result = weight * result + (1 - weight) * mean
        weight = (around > 0).float()
    return _to_array(result.round_().clamp_(0, 255).to(torch.uint8))


def _to_tensor(window: np.ndarray) -> Tensor:
    """(H, W, C) -> (1, C, H, W), channels last in memory."""
    return torch.from_numpy(window.copy()).permute(2, 0, 1)[None]


def _to_array(image: Tensor) -> np.ndarray:
    return image[0].permute(1, 2, 0).cpu().numpy()


def fold_batch_norms(net: SRResNet) -> SRResNet:
    """A copy whose batch normalisations are part of the convolutions before them: the same function, fewer passes."""
    net = copy.deepcopy(net).eval()
    pairs = [(block, f"conv{i}", f"bn{i}") for block in net.blocks for i in (1, 2)]
    for module, conv, norm in [*pairs, (net, "body_conv", "body_bn")]:
        setattr(module, conv, fuse_conv_bn_eval(getattr(module, conv), getattr(module, norm)))
        setattr(module, norm, nn.Identity())
    return net


def _check_fit(state: dict[str, Tensor], expected: dict[str, Tensor], complaint: str) -> None:
    faults = [f"{key} is missing" for key in expected.keys() - state.keys()]
    faults += [f"{key} is unknown" for key in state.keys() - expected.keys()]
    for key in expected.keys() & state.keys():
        if state[key].shape != expected[key].shape:
            faults.append(f"{key} has shape {tuple(state[key].shape)} instead of {tuple(expected[key].shape)}")
        elif state[key].is_floating_point() != expected[key].is_floating_point():
            faults.append(f"{key} has type {state[key].dtype} instead of {expected[key].dtype}")
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise SRError(f"{complaint}: {min(faults)}{more}")
