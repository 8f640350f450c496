"""Which crops a training step takes, and how they become LR and HR (section 3.2 of the paper), on a CPU or a GPU."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from sr.resize import degradation_matrix

# HR pixels around a crop that reach its LR pixels, through the antialiased bicubic kernel as through the Gaussian: with
# them the LR crop equals the same piece of the whole image's LR version.
MARGIN = 8
DEGRADATIONS = ("bicubic", "gaussian")
# Lanczos weights are multiples of 1 / LANCZOS_ONE: sums of 255 times them stay below 2**24, so that float32 holds them
# exactly and every device, thread count and order of summation gives the same pixels.
LANCZOS_ONE = 2**14


class Settings(Protocol):
    """How a crop is cut out of an image; `sr.config.TrainConfig` is one.

    crop_size: HR side in pixels, a multiple of scale.
    augment: random flips and quarter turns. The paper mentions none.
    rescale_min: half of the HR images are first reduced by a factor drawn from [rescale_min, 1] (Lanczos), so that a
        small collection gives more kinds of patches; 1 switches it off. Not in the paper.
    degradation: "bicubic" (MATLAB's, uint8, as the benchmark sets) or "gaussian".
    """

    crop_size: int
    scale: int
    augment: bool
    rescale_min: float
    degradation: str


@dataclass(frozen=True)
class CropPlan:
    """The crops of one batch: int64 arrays (B,) each.

    image: index of the image. top, left: first pixel of the window to cut, which may lie outside of the image (it is
    mirrored there). span: side of the window in pixels. symmetry: 0 to 7, which of the eight flips and turns.
    """

    image: np.ndarray
    top: np.ndarray
    left: np.ndarray
    span: np.ndarray
    symmetry: np.ndarray

    def part(self, rank: int, ranks: int) -> "CropPlan":
        """The crops that one of `ranks` processes takes: an equal share, without overlap."""
        share = len(self.image) // ranks
        return CropPlan(*(values[rank * share : (rank + 1) * share] for values in vars(self).values()))


def plan_crops(sizes: np.ndarray, settings: Settings, batch_size: int, seed: int, step: int) -> CropPlan:
    """Crops of `batch_size` distinct images; what they are depends on the arguments alone.

    sizes: (N, 2) heights and widths of the images, each at least crop_size and N at least batch_size.
    """
    rng = np.random.default_rng([seed, step])
    image = rng.choice(len(sizes), batch_size, replace=False)
    height, width = sizes[image].T
    shorter = np.minimum(height, width)
    is_reduced, place, from_top, from_left, turn = rng.random((5, batch_size))
    smallest = np.maximum(settings.rescale_min, settings.crop_size / shorter)
    factor = np.where(is_reduced < 0.5, smallest + (1 - smallest) * place, 1.0)
    source = np.minimum(np.rint(settings.crop_size / factor).astype(np.int64), shorter)
    border = np.rint(MARGIN * source / settings.crop_size).astype(np.int64)
    return CropPlan(
        image=image,
        top=(from_top * (height - source + 1)).astype(np.int64) - border,
        left=(from_left * (width - source + 1)).astype(np.int64) - border,
        span=source + 2 * border,
        symmetry=(turn * 8).astype(np.int64) if settings.augment else np.zeros(batch_size, np.int64),
    )


def longest_span(settings: Settings) -> int:
    """The largest window that a plan can ask for, in pixels."""
    source = round(settings.crop_size / settings.rescale_min)
    return source + 2 * round(MARGIN * source / settings.crop_size)


def mirror(index: Tensor | np.ndarray, side: Tensor | np.ndarray | int) -> Tensor | np.ndarray:
    """Positions beyond an image's borders, brought inside as if it were mirrored, the edge pixel repeated."""
    where = np.where if isinstance(index, np.ndarray) else torch.where
    index = index % (2 * side)
    return where(index < side, index, 2 * side - 1 - index)


def turn(crops: Tensor, symmetry: Tensor, back: bool = False) -> Tensor:
    """Square crops (B, C, s, s), each flipped and turned by its own of the eight symmetries: int64 (B,), 0 to 7.

    back: undoes it. Nothing waits for the device.
    """
    steps = list(enumerate((lambda x: x.mT, lambda x: x.flip(-1), lambda x: x.flip(-2))))
    for bit, step in reversed(steps) if back else steps:
        crops = torch.where((symmetry >> bit & 1).bool()[:, None, None, None], step(crops), crops)
    return crops


class CropFinisher:
    """Windows cut out of images -> LR and HR crops, in batches, on one device."""

    def __init__(self, settings: Settings, device: torch.device):
        self.settings = settings
        self.side = settings.crop_size + 2 * MARGIN
        self._reduce = degradation_matrix(self.side, settings.scale, settings.degradation).to(device)
        if settings.rescale_min < 1:
            self._lanczos = lanczos_matrices(self.side, longest_span(settings)).to(device)

    def __call__(self, windows: Tensor, span: Tensor, symmetry: Tensor) -> tuple[Tensor, Tensor]:
        """windows: uint8 (B, S, S, 3), of which the first span x span pixels count; span, symmetry: int64 (B,).

        Returns LR (B, 3, s/scale, s/scale) and HR (B, 3, s, s), uint8, s = crop_size. Nothing waits for the device.
        """
        crops = self._resize(windows, span) if self.settings.rescale_min < 1 else windows.permute(0, 3, 1, 2)
        if self.settings.augment:
            crops = turn(crops, symmetry)
        return self._degrade(crops), crops[..., MARGIN:-MARGIN, MARGIN:-MARGIN].contiguous()

    def _resize(self, windows: Tensor, span: Tensor) -> Tensor:
        if windows.device.type != "cpu":
            # Asking which windows need it would wait for the device.
            return resize_lanczos(windows, self._lanczos[span - self.side])
        crops = windows[:, : self.side, : self.side].permute(0, 3, 1, 2).contiguous()
        for i, pixels in enumerate(span.tolist()):
            if pixels > self.side:
                matrix = self._lanczos[pixels - self.side, :, :pixels]
                crops[i] = resize_lanczos(windows[i, :pixels, :pixels][None], matrix[None])[0]
        return crops

    def _degrade(self, crops: Tensor) -> Tensor:
        """The LR crops, with MATLAB's rounding to uint8 after each direction (`sr.resize.imresize`)."""
        lr = crops.to(self._reduce.dtype)
        for reduce in (lambda x: self._reduce @ x, lambda x: x @ self._reduce.mT):
            lr = reduce(lr)
            if self.settings.degradation == "bicubic":
                # 1e-9 keeps sums that are a half up to float64's rounding on the upper side.
                lr = torch.floor(lr + (0.5 + 1e-9)).clamp_(0, 255)
        inner = MARGIN // self.settings.scale
        return lr.round().clamp_(0, 255).to(torch.uint8)[..., inner:-inner, inner:-inner].contiguous()


def lanczos_matrices(side: int, longest: int) -> Tensor:
    """Antialiased Lanczos reductions (a = 3, the kernel widened by the reduction) of side .. longest pixels to side.

    Returns float32 (longest - side + 1, side, longest), multiples of 1 / LANCZOS_ONE times LANCZOS_ONE; the columns
    beyond a matrix's own number of pixels are 0.
    """
    centre = torch.arange(side, dtype=torch.float64)[:, None] + 0.5
    matrices = torch.zeros(longest - side + 1, side, longest)
    for span in range(side, longest + 1):
        stretch = span / side
        distance = (torch.arange(span, dtype=torch.float64) + 0.5 - centre * stretch) / stretch
        weight = torch.sinc(distance) * torch.sinc(distance / 3) * (distance.abs() < 3)
        matrices[span - side, :, :span] = (weight / weight.sum(1, keepdim=True) * LANCZOS_ONE).round()
    return matrices


def resize_lanczos(windows: Tensor, matrices: Tensor) -> Tensor:
    """uint8 (B, S, S, 3) -> uint8 (B, 3, side, side), each window by its own of `lanczos_matrices` (B, side, S).

    Rounded after each direction, rows first, as Pillow does; a window of side pixels is returned unchanged.
    """
    result = windows.permute(0, 3, 1, 2).float()
    for reduce in (lambda x: x @ matrices[:, None].mT, lambda x: matrices[:, None] @ x):
        result = reduce(result).div_(LANCZOS_ONE).round_().clamp_(0, 255)
    return result.to(torch.uint8)
