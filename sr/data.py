"""Training data: folders of images -> batches of HR crops and their LR counterparts (section 3.2 of the paper)."""

import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from sr.errors import ImageError, SRError
from sr.images import read_rgb_array
from sr.resize import gaussian_degrade, imresize

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
# HR pixels around a crop that reach its LR pixels, through the antialiased bicubic kernel as through the Gaussian: with
# them the LR crop equals the same piece of the whole image's LR version.
MARGIN = 8
DEGRADATIONS = ("bicubic", "gaussian")


class ImageStore:
    """All usable images under some folders, uint8 RGB (H, W, 3).

    folders: searched recursively for .jpg, .jpeg, .png and .webp. Greyscale becomes RGB, transparent pixels are laid
        over white.
    min_side: images with a shorter side are skipped, in pixels.
    memory_limit: bytes of decoded images to keep in memory; the rest is decoded again at every use.

    Every file is decoded once at the start: unreadable and too small ones are skipped with a line each (`skipped`).
    Raises SRError when a folder does not exist or no image is left.
    """

    def __init__(self, folders: list[Path], min_side: int, memory_limit: int = 4 * 2**30):
        self.paths: list[Path] = []
        self.skipped: list[str] = []
        self.counts: dict[str, int] = {}  # images by the name of the folder that holds them
        self.pixels = 0
        self._images: list[np.ndarray | None] = []
        missing = [str(folder) for folder in folders if not Path(folder).is_dir()]
        if missing:
            raise SRError(f"no such folder: {', '.join(missing)}")
        files = sorted(
            {file for folder in folders for file in Path(folder).rglob("*") if file.suffix.lower() in SUFFIXES}
        )
        used = 0
        with ThreadPoolExecutor() as pool:
            read = pool.map(lambda file: _try_read(file, min_side), files)
            for file, image in tqdm(
                zip(files, read, strict=True), total=len(files), desc="reading images", unit="image"
            ):
                if isinstance(image, str):
                    self.skipped.append(image)
                    tqdm.write(f"skipped: {image}")
                    continue
                keep = used + image.nbytes <= memory_limit
                used += image.nbytes if keep else 0
                self.paths.append(file)
                self.counts[file.parent.name] = self.counts.get(file.parent.name, 0) + 1
                self.pixels += image.shape[0] * image.shape[1]
                self._images.append(image if keep else None)
        if self.skipped:
            tqdm.write(f"{len(self.skipped)} of {len(files)} files skipped")
        if not self.paths:
            raise SRError(f"no usable image (at least {min_side} pixels a side) in {', '.join(map(str, folders))}")

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> np.ndarray:
        image = self._images[index]
        return read_rgb_array(self.paths[index]) if image is None else image


def _try_read(file: Path, min_side: int) -> np.ndarray | str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # metadata that Pillow complains about does not harm the pixels
            image = read_rgb_array(file)
    except ImageError as error:
        return str(error)
    if min(image.shape[:2]) < min_side:
        return f"{file}: {image.shape[1]}x{image.shape[0]} pixels, at least {min_side} a side are needed"
    return image


@dataclass(frozen=True)
class CropSettings:
    """How a crop is cut out of an image.

    size: HR side in pixels, a multiple of scale.
    augment: random flips and quarter turns. The paper mentions none.
    rescale_min: with probability 1/2 the HR image is first reduced by a factor drawn from [rescale_min, 1] (Lanczos),
        so that a small collection gives more kinds of patches; 1 switches it off. Not in the paper.
    degradation: "bicubic" (MATLAB's, uint8, as the benchmark sets) or "gaussian".
    """

    size: int = 96
    scale: int = 4
    augment: bool = False
    rescale_min: float = 1.0
    degradation: str = "bicubic"


class CropBatches(Dataset):
    """Item `step` is the batch of that training step: LR (B, 3, s/4, s/4) and HR (B, 3, s, s), both uint8.

    A batch holds crops of distinct images. What it holds depends on (seed, step) alone: the number of workers and an
    interruption change nothing. Raises SRError when there are fewer images than crops in a batch.
    """

    def __init__(self, store: ImageStore, settings: CropSettings, batch_size: int, seed: int):
        if len(store) < batch_size:
            raise SRError(f"a batch of {batch_size} distinct images needs as many; there are {len(store)} usable ones")
        self.store, self.settings, self.batch_size, self.seed = store, settings, batch_size, seed

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng([self.seed, step])
        chosen = rng.choice(len(self.store), self.batch_size, replace=False)
        crops = np.stack([cut_crop(self.store[i], self.settings, rng) for i in chosen])
        return degrade_crops(torch.from_numpy(crops).permute(0, 3, 1, 2), self.settings)


def cut_crop(image: np.ndarray, settings: CropSettings, rng: np.random.Generator) -> np.ndarray:
    """A random HR crop with MARGIN pixels around it, mirrored where the image ends: uint8 (s + 16, s + 16, 3)."""
    height, width = image.shape[:2]
    factor = 1.0
    if settings.rescale_min < 1 and rng.random() < 0.5:
        factor = rng.uniform(max(settings.rescale_min, settings.size / min(height, width)), 1.0)
    side = settings.size + 2 * MARGIN
    source = min(round(settings.size / factor), height, width)
    border = round(MARGIN * source / settings.size)
    top, left = rng.integers(height - source + 1), rng.integers(width - source + 1)
    rows = np.arange(top - border, top + source + border)
    cols = np.arange(left - border, left + source + border)
    crop = image[np.ix_(_mirror(rows, height), _mirror(cols, width))]
    if crop.shape[0] != side:
        crop = np.asarray(Image.fromarray(crop).resize((side, side), Image.Resampling.LANCZOS))
    if settings.augment:
        crop = np.rot90(crop, rng.integers(4))
        if rng.random() < 0.5:
            crop = crop[:, ::-1]
    return crop


def degrade_crops(crops: Tensor, settings: CropSettings) -> tuple[Tensor, Tensor]:
    """HR crops with their margin, uint8 (B, 3, s + 16, s + 16) -> LR (B, 3, s/4, s/4) and HR (B, 3, s, s), uint8."""
    if settings.degradation == "bicubic":
        lr = imresize(crops, 1 / settings.scale)
    else:
        lr = gaussian_degrade(crops.float(), settings.scale).round().clamp(0, 255).to(torch.uint8)
    inner = MARGIN // settings.scale
    return lr[..., inner:-inner, inner:-inner], crops[..., MARGIN:-MARGIN, MARGIN:-MARGIN]


def _mirror(index: np.ndarray, size: int) -> np.ndarray:
    index = index % (2 * size)
    return np.where(index < size, index, 2 * size - 1 - index)


def batches(dataset: CropBatches, first_step: int, last_step: int, workers: int, pin_memory: bool) -> DataLoader:
    """The batches of the steps first_step <= step < last_step, in order, made by `workers` processes (0: this one)."""
    return DataLoader(
        dataset,
        batch_size=None,
        sampler=range(first_step, last_step),
        num_workers=workers,
        pin_memory=pin_memory,
        prefetch_factor=4 if workers else None,
    )
