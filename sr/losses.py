"""The losses of the paper (Ledig et al., CVPR 2017, section 2.2), one class each.

Images are (N, 3, H, W) in [-1, 1], logits (N, 1). Every loss is a scalar, the mean over the batch; the paper writes
sums over the training samples, which differ by a constant factor that Adam does not see.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from sr.errors import SRError

VGG_RESCALE = 1 / 12.75  # section 3.2: feature maps are rescaled, so that VGG losses compare with the MSE loss
VGG_BLOCKS = {"VGG16": (2, 2, 3, 3, 3), "VGG19": (2, 2, 4, 4, 4)}  # 3x3 convolutions before each max-pool
VGG_LAYERS = {"vgg22": (2, 2), "vgg54": (5, 4)}  # phi_i,j: j-th convolution before the i-th max-pool


class MSELoss(nn.Module):
    """Equation 4: l_MSE = 1/(r^2 W H) * sum_x,y (I_HR - G(I_LR))^2, here the mean over the channels as well."""

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        return F.mse_loss(sr, hr)


class L1Loss(nn.Module):
    """Mean absolute error. Not in the paper: short trainings reach a higher PSNR with it."""

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        return F.l1_loss(sr, hr)


class RecursiveSupervisionLoss(nn.Module):
    """DRCN's loss (Kim et al., CVPR 2016, section 3.3) but for the weight decay, which the optimizer adds:

    alpha * 1/D * sum_d MSE(prediction_d, HR) + (1 - alpha) * MSE(result, HR)

    The paper halves both errors. It lowers alpha during the training; whoever trains sets `alpha`.
    """

    def __init__(self, alpha: float):
        super().__init__()
        self.description = f"mse of the result and of every prediction, whose share falls from {alpha:g} to 0"
        self.alpha = alpha

    def forward(self, predictions: Tensor, hr: Tensor) -> Tensor:
        """predictions: (N, 1 + D, H, W), the result first. hr: (N, 1, H, W)."""
        errors = (predictions - hr).square().mean((0, 2, 3))
        return self.alpha * errors[1:].mean() + (1 - self.alpha) * errors[0]


class ChromaLoss(nn.Module):
    """Mean absolute error of Cb and Cr (BT.601, the full range of [-1, 1]). Not in the paper.

    A discriminator that saw few images lets coloured grain pass; photographs have detail in their luma above all.
    """

    description = "l1 of Cb and Cr"

    def __init__(self):
        super().__init__()
        cb, cr = (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312)
        self.register_buffer("matrix", torch.tensor([cb, cr]))

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        return torch.einsum("kc,nchw->nkhw", self.matrix, sr - hr).abs().mean()


class ColourLoss(nn.Module):
    """Mean absolute difference of the mean colours of windows of 32 x 32 pixels. Not in the paper.

    Texture that a generator invents may be brighter or darker, on the whole, than what it stands for.
    """

    description = "l1 of mean colours"
    WINDOW = 32

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        return F.avg_pool2d(sr - hr, min(self.WINDOW, *hr.shape[2:])).abs().mean()


class GridLoss(nn.Module):
    """What depends on a pixel's position in its LR pixel: a grid of 4 pixels, which HR never has. Not in the paper.

    Where LR is flat, a generator has no other texture to give. The error SR - HR is averaged at each of the 4 x 4
    positions over windows of 64 x 64 pixels; the loss is how far these means are, on average, from the window's mean.
    """

    description = "grid of 4 pixels"
    SCALE, WINDOW = 4, 16  # in HR and in LR pixels

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        positions = F.pixel_unshuffle(sr - hr, self.SCALE)
        means = F.avg_pool2d(positions, min(self.WINDOW, *positions.shape[2:])).unflatten(1, (-1, self.SCALE**2))
        return (means - means.mean(2, keepdim=True)).abs().mean()


class VGGLoss(nn.Module):
    """Equation 5: l_VGG/i.j = 1/(W_ij H_ij) * sum_x,y (phi_i,j(I_HR) - phi_i,j(G(I_LR)))^2.

    phi_i,j are the feature maps after the activation and before the pooling, rescaled by 1/12.75; the squares are
    summed over the channels.

    layer: "vgg22" (low-level features) or "vgg54" (high-level).
    weights: a local file with `features.N.weight` and `features.N.bias` in torchvision's layout (.safetensors, or
        .pth read without pickled code); VGG16 or VGG19 is recognised from its keys. VGG16 has three convolutions in its
        fifth block, so that its relu5_3 stands in for phi_5,4. None: torchvision's VGG19, downloaded on first use.
    Raises SRError for an unknown layer or a file that is neither network.
    """

    def __init__(self, layer: str = "vgg54", weights: Path | None = None):
        super().__init__()
        if layer not in VGG_LAYERS:
            raise SRError(f"unknown VGG layer {layer!r}; known are {', '.join(VGG_LAYERS)}")
        state = _torchvision_vgg19() if weights is None else _read_state(Path(weights))
        network = _recognise(state, weights)
        block, conv = VGG_LAYERS[layer]
        conv = min(conv, VGG_BLOCKS[network][block - 1])
        self.description = f"{network} relu{block}_{conv}"
        self.features = _build(VGG_BLOCKS[network], block, conv)
        wanted = self.features.state_dict()
        self.features.load_state_dict({key: state[f"features.{key}"].float() for key in wanted})
        self.requires_grad_(False)
        # torchvision's input convention: RGB in [0, 1], normalised with ImageNet's mean and standard deviation.
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))

    def extract(self, image: Tensor) -> Tensor:
        """phi_i,j of images in [-1, 1], rescaled: (N, 3, H, W) -> (N, C_ij, H_ij, W_ij)."""
        return self.features(((image + 1) / 2 - self.mean) / self.std).float() * VGG_RESCALE

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        with torch.no_grad():
            target = self.extract(hr)
        return (self.extract(sr) - target).square().sum(1).mean()


class TotalVariationLoss(nn.Module):
    """Total variation of an image, which SRResNet-VGG22 adds with weight 2e-8 (section 3.2).

    The form is not stated; this is the anisotropic one of Aly and Dubois (2005): the sum, not the mean, over all
    pixels of the absolute differences to the lower and to the right neighbour.
    """

    def forward(self, sr: Tensor) -> Tensor:
        down = (sr[..., 1:, :] - sr[..., :-1, :]).abs().sum((1, 2, 3))
        right = (sr[..., :, 1:] - sr[..., :, :-1]).abs().sum((1, 2, 3))
        return (down + right).mean()


class GeneratorAdversarialLoss(nn.Module):
    """Equation 6: l_Gen = sum_n -log D(G(I_LR)), on logits: -log sigmoid(z) = softplus(-z), finite for every z."""

    def forward(self, fake_logits: Tensor) -> Tensor:
        return F.softplus(-fake_logits.float()).mean()


class DiscriminatorLoss(nn.Module):
    """Equation 2 for D, as a loss: -log D(I_HR) - log(1 - D(G(I_LR))), on logits (binary cross-entropy).

    smoothing: D is to give HR 1 - smoothing instead of 1 (one-sided label smoothing, Salimans et al. 2016, section
        3.4), which keeps it from being sure of itself. The paper has none.
    """

    def __init__(self, smoothing: float = 0.0):
        super().__init__()
        self.smoothing = smoothing

    def forward(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        real, fake = real_logits.float(), fake_logits.float()
        # -(1 - s) log sigmoid(z) - s log(1 - sigmoid(z)) = softplus(-z) + s z
        return (F.softplus(-real) + self.smoothing * real).mean() + F.softplus(fake).mean()


def shifted(shift: Tensor, *images: Tensor) -> tuple[Tensor, ...]:
    """All images by so many pixels down and to the right; what leaves at one side comes in at the other.

    VGG's pooling and D's strides have periods of 2 to 16 pixels and crops begin at multiples of 4: without shifts the
    generator learns grids that please the networks at that one position.

    images: (N, C, H, W), all of one size. shift: int64 (2,) on their device, so that the host need not know it.
    """
    rows, columns = (
        (torch.arange(side, device=shift.device) - by) % side
        for side, by in zip(images[0].shape[2:], shift, strict=True)
    )
    moved = (image.index_select(2, rows).index_select(3, columns) for image in images)
    return tuple(image.contiguous(memory_format=torch.channels_last) for image in moved)


def _build(blocks: tuple[int, ...], block: int, conv: int) -> nn.Sequential:
    """VGG's feature extractor up to the activation of a block's conv-th convolution, numbered as in torchvision."""
    layers: list[nn.Module] = []
    width = 3
    for i, count in enumerate(blocks[:block], start=1):
        for _ in range(conv if i == block else count):
            layers += [nn.Conv2d(width, min(64 * 2 ** (i - 1), 512), 3, padding=1), nn.ReLU(inplace=True)]
            width = layers[-2].out_channels
        if i < block:
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


def _recognise(state: dict[str, Tensor], source: Path | None) -> str:
    for network, blocks in VGG_BLOCKS.items():
        expected = {f"features.{key}": value.shape for key, value in _build(blocks, 5, blocks[-1]).state_dict().items()}
        present = {key: state[key].shape for key in state if key.startswith("features.")}
        if present == expected:
            return network
    raise SRError(f"{source} holds neither VGG16's nor VGG19's `features.N.weight` and `features.N.bias`")


def _read_state(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise SRError(f"VGG weights {path} not found; give a file, or none to let torchvision download VGG19")
    try:
        return load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except (SafetensorError, RuntimeError, OSError, EOFError, ValueError) as error:
        raise SRError(f"VGG weights {path} cannot be read: {error}") from error


def _torchvision_vgg19() -> dict[str, Tensor]:
    from torchvision.models import VGG19_Weights

    try:
        return VGG19_Weights.IMAGENET1K_V1.get_state_dict(progress=True, check_hash=True)
    except OSError as error:
        raise SRError(
            f"torchvision could not download VGG19 ({error}); bring the file here and name it with --vgg FILE"
        ) from error
