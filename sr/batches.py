"""A run's batches, in order: cut on the GPU when the images fit there, else on the host ahead of time."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from sr.config import TrainConfig
from sr.crops import CropFinisher, CropPlan, longest_span, mirror, plan_crops
from sr.data import Images
from sr.errors import SRError


class BatchSource:
    """Iterates over (lr, hr) of the steps first_step <= step < last_step, both uint8 on `device`.

    lr: (B, 3, s/scale, s/scale), hr: (B, 3, s, s), with s the configured crop_size. B is this rank's equal share of the
    configured batch_size. The crops of a step come from distinct images; what they are depends on the seed and the
    step alone: ranks share one batch, and interruptions, workers and the kind of device change nothing.

    resident: the images live on the GPU, because they need at most `config.resident_share` of its memory; then a step
        moves nothing but the crops' positions. Otherwise windows are cut on the host (by `config.workers` processes)
        and finished on the GPU, copied from pinned memory.
    bytes_to_device: moved so far, without the images themselves.
    Raises SRError when there are fewer images than crops in a batch, or ranks that do not divide it.
    """

    def __init__(
        self,
        images: Images,
        config: TrainConfig,
        device: torch.device,
        first_step: int,
        last_step: int,
        rank: int = 0,
        ranks: int = 1,
    ):
        if len(images) < config.batch_size:
            raise SRError(
                f"a batch of {config.batch_size} crops of distinct images needs as many images; there are "
                f"{len(images)} usable ones: give more or set a smaller batch_size"
            )
        if config.batch_size % ranks:
            raise SRError(
                f"batch_size {config.batch_size} is shared by all processes: it must be a multiple of {ranks}"
            )
        self.images, self.config, self.device = images, config, device
        self.first_step, self.last_step = first_step, last_step
        self.bytes_to_device = 0
        self._plan = partial(_plan, images.sizes, config, rank, ranks)
        # Only CUDA computes the crops itself: others lack float64 or gain nothing.
        self._crop_device = device if device.type == "cuda" else torch.device("cpu")
        self.resident = False
        if device.type == "cuda":
            memory = torch.cuda.get_device_properties(device).total_memory
            self.resident = 3 * images.pixels <= config.resident_share * memory
        self._finish = CropFinisher(config, self._crop_device)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for windows, span, symmetry in self._resident_windows() if self.resident else self._host_windows():
            lr, hr = self._finish(windows, span, symmetry)
            if self.device != self._crop_device:
                self._count(lr, hr)
                lr, hr = lr.to(self.device), hr.to(self.device)
            yield lr, hr

    def _host_windows(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        workers = self.config.workers
        loader = DataLoader(
            HostWindows(self.images, self._plan, longest_span(self.config)),
            batch_size=None,
            sampler=range(self.first_step, self.last_step),
            num_workers=workers,
            pin_memory=self.device.type == "cuda",
            prefetch_factor=4 if workers else None,
            generator=torch.Generator(),  # else the loader would draw a number from the run's
        )
        for tensors in loader:
            if self._crop_device.type == "cuda":
                self._count(*tensors)
                tensors = [tensor.to(self._crop_device, non_blocking=True) for tensor in tensors]
            yield tuple(tensors)

    def _resident_windows(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        resident = ResidentImages(self.images, self._crop_device, longest_span(self.config))
        for step in range(self.first_step, self.last_step):
            facts = resident.facts(self._plan(step)).pin_memory()
            self._count(facts)
            yield resident.windows(facts.to(self._crop_device, non_blocking=True))

    def _count(self, *tensors: Tensor) -> None:
        self.bytes_to_device += sum(tensor.nbytes for tensor in tensors)


def _plan(sizes: np.ndarray, config: TrainConfig, rank: int, ranks: int, step: int) -> CropPlan:
    return plan_crops(sizes, config, config.batch_size, config.seed, step).part(rank, ranks)


class HostWindows(Dataset):
    """Item `step`: the step's windows, uint8 (B, S, S, 3), and their span and symmetry, int64 (B,)."""

    def __init__(self, images: Images, plan: Callable[[int], CropPlan], longest: int):
        self.images, self.plan, self.longest = images, plan, longest

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        plan = self.plan(step)
        windows = np.zeros((len(plan.image), self.longest, self.longest, 3), np.uint8)
        for window, index, top, left, span in zip(windows, plan.image, plan.top, plan.left, plan.span, strict=True):
            image = self.images[index]
            rows = mirror(np.arange(top, top + span), image.shape[0])
            columns = mirror(np.arange(left, left + span), image.shape[1])
            window[:span, :span] = image[np.ix_(rows, columns)]
        return torch.from_numpy(windows), torch.from_numpy(plan.span), torch.from_numpy(plan.symmetry)


class ResidentImages:
    """The pixels of all images on one device, which cuts windows out of them: 3 bytes a pixel.

    longest: side of the windows, of which a plan's spans are parts.
    """

    def __init__(self, images: Images, device: torch.device, longest: int):
        self._sizes = images.sizes
        self._first = np.concatenate([[0], np.cumsum(images.sizes.prod(1))])
        self._pixels = torch.empty((images.pixels, 3), dtype=torch.uint8, device=device)
        for i in range(len(images)):
            pixels = torch.from_numpy(np.array(images[i]).reshape(-1, 3))  # a copy: images may be read-only
            self._pixels[self._first[i] : self._first[i + 1]] = pixels.to(device)
        self._offsets = torch.arange(longest, device=device)

    def facts(self, plan: CropPlan) -> Tensor:
        """What the device has to know of a plan: int64 (7, B), on the CPU."""
        of_image = self._sizes[plan.image]
        rows = [self._first[plan.image], *of_image.T, plan.top, plan.left, plan.span, plan.symmetry]
        return torch.from_numpy(np.stack(rows))

    def windows(self, facts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`facts` on the device -> windows, uint8 (B, S, S, 3), their span and symmetry, int64 (B,)."""
        first, height, width, top, left, span, symmetry = facts
        rows = mirror(top[:, None] + self._offsets, height[:, None])
        columns = mirror(left[:, None] + self._offsets, width[:, None])
        index = first[:, None, None] + rows[:, :, None] * width[:, None, None] + columns[:, None, :]
        return self._pixels[index], span, symmetry
