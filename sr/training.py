"""The training loop for SRResNet and SRGAN (sections 2.2 and 3.2 of the paper)."""

import csv
import math
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from sr.checkpoint import load_checkpoint, save_checkpoint
from sr.config import TrainConfig
from sr.data import CropBatches, CropSettings, ImageStore, batches
from sr.errors import SRError
from sr.losses import DiscriminatorLoss, GeneratorAdversarialLoss, L1Loss, MSELoss, TotalVariationLoss, VGGLoss
from sr.models import Discriminator, SRResNet


class TrainingDiverged(SRError):  # noqa: N818 - it says what happened
    """A loss or gradient is not finite."""


class Trainer:
    """The networks, losses and optimizers of one run; `train_step` is one iteration.

    initial_weights: the generator's state dict to start from; parent_card: its model card.
    vgg_weights: see `sr.losses.VGGLoss`.
    """

    def __init__(
        self,
        config: TrainConfig,
        device: torch.device,
        initial_weights: dict[str, Tensor] | None = None,
        parent_card: dict[str, Any] | None = None,
        vgg_weights: Path | None = None,
    ):
        torch.manual_seed(config.seed)
        self.config, self.device, self.parent_card = config, device, parent_card
        self.step = 0  # finished iterations
        self.seconds = 0.0  # of training, over all resumed parts
        self.generator = SRResNet(config.num_blocks, config.channels, config.scale)
        if initial_weights is not None:
            self.generator.load_state_dict(initial_weights)
        self.generator.to(device, memory_format=torch.channels_last).train()
        if config.freeze_batch_norm:
            for module in self.generator.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        self.generator_optimizer = self._adam(self.generator, config.lr)
        self.average = None
        if config.ema_decay is not None:
            average_fn = get_ema_multi_avg_fn(config.ema_decay)
            self.average = AveragedModel(self.generator, multi_avg_fn=average_fn, use_buffers=True)
        self.discriminator = None
        if config.is_gan:
            self.discriminator = Discriminator(config.discriminator_channels, config.crop_size)
            self.discriminator.to(device, memory_format=torch.channels_last).train()
            self.discriminator_optimizer = self._adam(self.discriminator, config.discriminator_lr or config.lr)
        self.terms = self._generator_terms(vgg_weights)

    def _adam(self, network: nn.Module, lr: float) -> torch.optim.Adam:
        betas = (self.config.beta1, self.config.beta2)
        optimizer = torch.optim.Adam(network.parameters(), lr, betas=betas, fused=self.device.type in ("cpu", "cuda"))
        for group in optimizer.param_groups:
            group["base_lr"] = lr
        return optimizer

    def _generator_terms(self, vgg_weights: Path | None) -> dict[str, tuple[float, nn.Module]]:
        """Weight and loss of every configured term of G's loss."""
        config = self.config
        if config.content.startswith("vgg"):
            content: nn.Module = VGGLoss(config.content, vgg_weights)
        else:
            content = MSELoss() if config.content == "mse" else L1Loss()
        terms = {
            "content": (config.content_weight, content),
            "pixel": (config.pixel_weight, L1Loss()),
            "adversarial": (config.adversarial_weight, GeneratorAdversarialLoss()),
            "tv": (config.tv_weight, TotalVariationLoss()),
        }
        return {
            name: (weight, loss.to(self.device, memory_format=torch.channels_last))
            for name, (weight, loss) in terms.items()
            if weight
        }

    @property
    def share_done(self) -> float:
        """Share of the run's iterations or time budget that is used, 0 to 1."""
        if self.config.iterations is not None:
            return min(1.0, self.step / self.config.iterations)
        return min(1.0, self.seconds / (60 * self.config.minutes))

    def lr_factor(self) -> float:
        warmup = min(1.0, (self.step + 1) / self.config.warmup_steps) if self.config.warmup_steps else 1.0
        if self.config.schedule == "cosine":
            return warmup * 0.5 * (1 + math.cos(math.pi * self.share_done))
        if self.config.schedule == "drop" and self.share_done >= 0.5:
            return warmup * 0.1
        return warmup

    def train_step(self, lr: Tensor, hr: Tensor) -> dict[str, Tensor]:
        """One iteration on uint8 LR (B, 3, s/4, s/4) and HR (B, 3, s, s). Returns the loss terms, detached.

        Raises TrainingDiverged, with the networks unchanged by this loss, when a loss or gradient is not finite.
        """
        lr = lr.to(self.device, non_blocking=True).float().div(255).contiguous(memory_format=torch.channels_last)
        hr = (
            hr.to(self.device, non_blocking=True)
            .float()
            .div(127.5)
            .sub(1)
            .contiguous(memory_format=torch.channels_last)
        )
        for optimizer in self._optimizers().values():
            for group in optimizer.param_groups:
                group["lr"] = group["base_lr"] * self.lr_factor()
        logged = {}
        with self._autocast():
            sr = self.generator(lr)
        sr = sr.float()
        if self.discriminator is not None:
            with self._autocast():
                real, fake = self.discriminator(hr), self.discriminator(sr.detach())
            logged["discriminator"] = DiscriminatorLoss()(real, fake)
            logged["d_real"], logged["d_fake"] = real.float().sigmoid().mean(), fake.float().sigmoid().mean()
            self._update(self.discriminator, self.discriminator_optimizer, logged["discriminator"], "discriminator")
        losses = self.generator_losses(sr, hr)
        logged |= losses
        logged["generator"] = sum(self.terms[name][0] * value for name, value in losses.items())
        logged["grad_norm"] = self._update(
            self.generator, self.generator_optimizer, logged["generator"], "generator", losses
        )
        if self.average is not None:
            self.average.update_parameters(self.generator)
        self.step += 1
        return {name: value.detach() for name, value in logged.items()}

    def generator_losses(self, sr: Tensor, hr: Tensor) -> dict[str, Tensor]:
        """Every configured term of G's loss, not yet weighted. sr, hr: (B, 3, s, s) in [-1, 1]."""
        losses = {}
        for name, (_, loss) in self.terms.items():
            with self._autocast():
                if name == "adversarial":
                    # D only passes the gradient on: none is gathered for its own parameters.
                    self.discriminator.requires_grad_(False)
                    losses[name] = loss(self.discriminator(sr))
                    self.discriminator.requires_grad_(True)
                elif name == "tv":
                    losses[name] = loss(sr)
                else:
                    losses[name] = loss(sr, hr)
        return losses

    def _update(
        self,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        loss: Tensor,
        name: str,
        terms: dict[str, Tensor] | None = None,
    ) -> Tensor:
        """Back-propagates, clips and steps; returns the gradient's norm before clipping."""
        if not torch.isfinite(loss):
            bad = [term for term, value in (terms or {}).items() if not torch.isfinite(value)] or [name]
            raise TrainingDiverged(f"step {self.step}: the {', '.join(bad)} loss is not finite; lower lr")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(network.parameters(), self.config.clip_grad_norm or math.inf)
        if not torch.isfinite(norm):
            raise TrainingDiverged(f"step {self.step}: the {name}'s gradient is not finite; lower lr")
        optimizer.step()
        return norm

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16")

    def result(self) -> dict[str, Tensor]:
        """The generator's state dict that the run delivers: the moving average where there is one."""
        averaged = self.average is not None and self.step > 0
        return (self.average.module if averaged else self.generator).state_dict()

    def _optimizers(self) -> dict[str, torch.optim.Optimizer]:
        optimizers = {"generator_optimizer": self.generator_optimizer}
        if self.discriminator is not None:
            optimizers["discriminator_optimizer"] = self.discriminator_optimizer
        return optimizers

    def _parts(self) -> dict[str, Any]:
        networks = {"generator": self.generator, "discriminator": self.discriminator, "average": self.average}
        return {name: part for name, part in networks.items() if part is not None} | self._optimizers()

    def state_dict(self) -> dict[str, Any]:
        facts = {"config": asdict(self.config), "parent_card": self.parent_card}
        facts |= {"step": self.step, "seconds": self.seconds}
        return facts | {name: part.state_dict() for name, part in self._parts().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step, self.seconds, self.parent_card = state["step"], state["seconds"], state["parent_card"]
        for name, part in self._parts().items():
            part.load_state_dict(state[name])


class _StopRequest:
    """Turns the first SIGTERM or Ctrl-C into a flag, so that the run ends between two steps."""

    def __enter__(self) -> "_StopRequest":
        self.requested = False
        self._before = {number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def _note(self, number: int, _frame: object) -> None:
        self.requested = True
        signal.signal(number, self._before[number])

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def train(
    trainer: Trainer,
    store: ImageStore,
    out: Path,
    resume: bool,
    validate: Callable[[Trainer], dict[str, float]] | None = None,
) -> bool:
    """Runs until the iterations or the time budget are used up. Returns False when a signal ended it before.

    out: gets `checkpoint.pt` and `log.csv`; with `resume` both are continued.
    validate: function of the trainer that returns figures for the log, called every `validate_minutes` and at the end.
    """
    config = trainer.config
    checkpoint, log = out / "checkpoint.pt", out / "log.csv"
    if resume:
        trainer.load_state_dict(load_checkpoint(checkpoint))
        _forget_after(log, trainer.step)
    settings = CropSettings(config.crop_size, config.scale, config.augment, config.rescale_min, config.degradation)
    last_step = config.iterations if config.iterations is not None else 2**62
    dataset = CropBatches(store, settings, config.batch_size, config.seed)
    loader = batches(dataset, trainer.step, last_step, config.workers, trainer.device.type == "cuda")
    bar = tqdm(total=config.iterations, initial=trainer.step, unit="step", dynamic_ncols=True)
    sums: dict[str, float] = {}
    since = {"log": trainer.seconds, "checkpoint": trainer.seconds, "validation": trainer.seconds}
    logged_step = trainer.step
    with bar, _StopRequest() as stop:
        started = time.monotonic() - trainer.seconds
        for lr, hr in loader:
            for name, value in trainer.train_step(lr, hr).items():
                sums[name] = sums.get(name, 0.0) + value.item()
            trainer.seconds = time.monotonic() - started
            bar.update()
            finished = trainer.share_done >= 1
            if trainer.step % config.log_steps == 0 or finished or stop.requested:
                means = {name: total / (trainer.step - logged_step) for name, total in sums.items()}
                rate = config.batch_size * (trainer.step - logged_step) / max(trainer.seconds - since["log"], 1e-9)
                _append(log, trainer, means | {"patches_per_s": rate})
                left = trainer.seconds / max(trainer.share_done, 1e-9) - trainer.seconds
                bar.set_postfix_str(f"loss {means['generator']:.4g}, {rate:.1f} patches/s, {left / 60:.0f} min left")
                sums, logged_step, since["log"] = {}, trainer.step, trainer.seconds
            if validate and (finished or trainer.seconds - since["validation"] >= 60 * config.validate_minutes):
                figures = validate(trainer)
                started = time.monotonic() - trainer.seconds  # the time budget is for training alone
                since["validation"] = trainer.seconds
                _append(log, trainer, figures)
                bar.write(
                    f"step {trainer.step}: " + ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
                )
            if finished or stop.requested or trainer.seconds - since["checkpoint"] >= 60 * config.checkpoint_minutes:
                save_checkpoint(checkpoint, trainer.state_dict())
                since["checkpoint"] = trainer.seconds
            if finished or stop.requested:
                break
    return trainer.share_done >= 1


COLUMNS = (
    "step", "patches", "seconds", "lr", "generator", "content", "pixel", "adversarial", "tv", "discriminator",
    "d_real", "d_fake", "grad_norm", "patches_per_s", "psnr_standard",
)  # fmt: skip


def _append(log: Path, trainer: Trainer, figures: dict[str, float]) -> None:
    row = {
        "step": trainer.step,
        "patches": trainer.step * trainer.config.batch_size,
        "seconds": round(trainer.seconds, 1),
        "lr": trainer.config.lr * trainer.lr_factor(),
    } | figures
    is_new = not log.exists()
    with open(log, "a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if is_new:
            writer.writeheader()
        writer.writerow({name: f"{value:.6g}" if isinstance(value, float) else value for name, value in row.items()})


def _forget_after(log: Path, step: int) -> None:
    """Drops the log's rows that a resumed run will write again."""
    if not log.exists():
        return
    with open(log, newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if int(row["step"]) <= step]
    shorter = log.with_suffix(".tmp")
    with open(shorter, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    shutil.move(shorter, log)
