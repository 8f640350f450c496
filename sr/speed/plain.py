"""The training loop as most reproductions write it, to hold the speed of ours against.

fp32 (convolutions on CUDA in TF32, as torch's defaults have it), NCHW, torch.optim.Adam as it comes, a DataLoader that
decodes a whole file for each crop and reduces it with Pillow, and losses read after each step. Four worker processes
on CUDA, pinned memory and cuDNN's benchmark mode are as in train_srresnet.py of sgrvinod's
a-PyTorch-Tutorial-to-Super-Resolution.
"""

from collections.abc import Iterator
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, RandomSampler
from torchvision.transforms.functional import to_tensor

from sr.config import TrainConfig
from sr.data import ImageStore
from sr.losses import DiscriminatorLoss, GeneratorAdversarialLoss, MSELoss, VGGLoss
from sr.models import Discriminator, SRResNet
from sr.speed.machine import fp32_convolution
from sr.speed.runs import use_plain_tail

# On CUDA the number that both reproductions use. On the CPU a worker would take its time from the computing threads.
WORKERS = {"cpu": 0, "cuda": 4}


class DecodedCrops(Dataset):
    """Item i is a random crop of the i-th file: LR (3, s/4, s/4) in [0, 1] and HR (3, s, s) in [-1, 1], fp32."""

    def __init__(self, paths: list[Path], config: TrainConfig):
        self.paths, self.size, self.scale = paths, config.crop_size, config.scale

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image = Image.open(self.paths[index]).convert("RGB")
        left, top = (int(torch.randint(length - self.size + 1, ())) for length in image.size)
        hr = image.crop((left, top, left + self.size, top + self.size))
        lr = hr.resize((self.size // self.scale,) * 2, Image.Resampling.BICUBIC)
        return to_tensor(lr), to_tensor(hr) * 2 - 1


class PlainLoop:
    """`batches` and `step` of the plain loop.

    config: the networks, losses, learning rate, batch and crop size; the other settings are the plain loop's own.
    bytes_to_device: copied to a GPU so far. prefetched: batches that workers make ahead of time.
    """

    def __init__(self, config: TrainConfig, images: ImageStore, device: torch.device, vgg: Path | None):
        torch.manual_seed(config.seed)
        torch.backends.cudnn.benchmark = True
        self.config, self.device, self.precision = config, device, fp32_convolution(device)
        self.bytes_to_device = 0
        workers = WORKERS[device.type]
        self.prefetched = 2 * workers  # torch's default
        self.batches: Iterator[tuple[Tensor, Tensor]] = iter(self._loader(images, workers))
        self.generator = SRResNet(config.num_blocks, config.channels, config.scale).to(device)
        use_plain_tail(self.generator)
        self.generator_optimizer = torch.optim.Adam(self.generator.parameters(), lr=config.lr)
        self.discriminator = None
        if config.is_gan:
            self.discriminator = Discriminator(config.discriminator_channels, config.crop_size).to(device)
            self.discriminator_optimizer = torch.optim.Adam(self.discriminator.parameters(), lr=config.lr)
        self.content = VGGLoss(config.content, vgg) if config.content.startswith("vgg") else MSELoss()
        self.content.to(device)

    def _loader(self, images: ImageStore, workers: int) -> DataLoader:
        crops = DecodedCrops(images.paths, self.config)
        # Endless, for the paper's collection is so large that the end of an epoch costs nothing.
        sampler = RandomSampler(crops, replacement=True, num_samples=2**40)
        pin = self.device.type == "cuda"
        return DataLoader(crops, self.config.batch_size, sampler=sampler, num_workers=workers, pin_memory=pin)

    def step(self, lr: Tensor, hr: Tensor) -> float:
        """One iteration on a batch of `batches`. Returns the generator's loss."""
        if self.device.type != "cpu":
            self.bytes_to_device += lr.nbytes + hr.nbytes
        lr, hr = lr.to(self.device), hr.to(self.device)
        sr = self.generator(lr)
        if self.discriminator is not None:
            loss = DiscriminatorLoss()(self.discriminator(hr), self.discriminator(sr.detach()))
            self.discriminator_optimizer.zero_grad()
            loss.backward()
            self.discriminator_optimizer.step()
            loss.item()  # as these loops do, for their log
        loss = self.config.content_weight * self.content(sr, hr)
        if self.discriminator is not None:
            loss = loss + self.config.adversarial_weight * GeneratorAdversarialLoss()(self.discriminator(sr))
        self.generator_optimizer.zero_grad()
        loss.backward()
        self.generator_optimizer.step()
        return loss.item()
