"""One training iteration of SRResNet or SRGAN (sections 2.2 and 3.2 of the paper), or of a network for luma."""

import math
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from sr.average import MovingAverage
from sr.config import TrainConfig
from sr.errors import SRError
from sr.losses import DiscriminatorLoss, RecursiveSupervisionLoss, shifted
from sr.luma import luma
from sr.models import NETWORKS, Discriminator
from sr.optimizers import adam, soap
from sr.precision import resolve_training_precision
from sr.randomness import seed_all
from sr.replay import Replay
from sr.teaching import draw_views, lesson
from sr.terms import generator_terms


class Trainer:
    """The networks, losses and optimizers of one run; `train_step` is one iteration.

    initial_weights: the generator's state dict to start from; parent_card: its model card.
    vgg_weights: see `sr.losses.VGGLoss`.
    teacher: the generator that the configuration names as one, in evaluation mode.
    origins: SHA-256 of the files that "init" and "teacher" were read from, for the card.

    Where a process group is set up (`sr.distributed`), gradients are averaged over its processes.
    Raises SRError when the configuration asks for something that `device` cannot do.
    """

    def __init__(
        self,
        config: TrainConfig,
        device: torch.device,
        initial_weights: dict[str, Tensor] | None = None,
        parent_card: dict[str, Any] | None = None,
        vgg_weights: Path | None = None,
        teacher: nn.Module | None = None,
        origins: dict[str, str] | None = None,
    ):
        if config.sync_batch_norm and device.type != "cuda":
            raise SRError("sync_batch_norm works on CUDA devices alone; leave it out on others")
        self.precision = resolve_training_precision(config.precision, device)
        seed_all(config.seed)
        torch.backends.cudnn.benchmark = True  # all batches have one shape
        self.config, self.device, self.parent_card, self.origins = config, device, parent_card, origins or {}
        # DRCN's loss changes with the schedule, SOAP's basis every few steps; gradients that processes exchange cannot
        # be recorded like this.
        changes = config.network == "drcn" or config.optimizer == "soap" or dist.is_initialized()
        self._replay = Replay() if config.cuda_graph and device.type == "cuda" and not changes else None
        self.step = 0  # finished iterations
        self.seconds = 0.0  # of training, over all resumed parts
        self.generator = NETWORKS[config.network].from_settings(config)
        if initial_weights is not None:
            self.generator.load_state_dict(initial_weights)
        self.generator = self._prepare(self.generator)
        if config.freeze_batch_norm:
            for module in self.generator.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        self.teacher = None if teacher is None else teacher.to(device, memory_format=torch.channels_last)
        if config.optimizer == "soap":
            self.generator_optimizer = soap(self.generator, config)
        else:
            self.generator_optimizer = self._adam(self.generator)
        self.average = MovingAverage(self.generator, config.ema_decay) if config.ema_decay is not None else None
        self.discriminator = None
        if config.is_gan:
            self.discriminator = self._prepare(Discriminator(config.discriminator_channels, config.crop_size))
            self.discriminator_optimizer = self._adam(self.discriminator)
        self.terms = generator_terms(config, device, vgg_weights)
        self._compile()
        # The same networks, with gradients averaged over the processes.
        self._generator = self._distribute(self.generator)
        self._discriminator = self._distribute(self.discriminator)

    def _prepare(self, network: nn.Module) -> nn.Module:
        if self.config.sync_batch_norm and dist.is_initialized():
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        return network.to(self.device, memory_format=torch.channels_last).train()

    def _distribute(self, network: nn.Module | None) -> nn.Module | None:
        if network is None or not dist.is_initialized():
            return network
        # Local batch normalisation: every process keeps its own running statistics, and rank 0's are saved.
        return DistributedDataParallel(network, broadcast_buffers=False)

    def _compile(self) -> None:
        """Compiles in place, which leaves the names in the state dicts alone."""
        wanted = self.config.compile
        pays = self.device.type == "cuda" and self._replay is None and find_spec("triton") is not None
        if wanted == "always" or (wanted == "auto" and pays):
            losses = [loss for _, loss in self.terms.values()]
            for network in [self.generator, self.discriminator, *losses]:
                if network is not None:
                    network.compile()

    def _adam(self, network: nn.Module) -> torch.optim.Adam:
        return adam(network, self.config, self._learning_rate(), capturable=self._replay is not None)

    def _learning_rate(self) -> Tensor | float:
        """For an optimizer to hold until `_follow_schedule` sets it; a recorded step reads it from the device."""
        return self.config.lr if self._replay is None else torch.zeros((), device=self.device)

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
        """One iteration on uint8 LR (B, 3, s/4, s/4) and HR (B, 3, s, s), both on the trainer's device.

        Returns what to log, as scalars on the device, after this process's share of the batch; nothing waits for the
        device. The names: every configured term of G's loss, not weighted; "generator", their weighted sum;
        "grad_norm_g", before clipping; "colour_shift", the difference of the mean colours of SR and HR in 1/255, worst
        channel; and for a GAN "discriminator", "d_real" and "d_fake" (mean D(I)), "d_accuracy" (share of right
        answers) and "grad_norm_d".
        """
        self._follow_schedule()
        inputs = {"lr": lr, "hr": hr}
        if self.config.shift_losses:
            inputs["shift"] = torch.randint(0, 16, (2,)).to(self.device)
        if self.config.teacher_views:
            inputs["views"] = draw_views(self.config.teacher_views, len(lr)).to(self.device)
        logged = self._iterate(**inputs) if self._replay is None else self._replay(self._iterate, **inputs)
        self.step += 1
        return logged

    def _iterate(
        self, lr: Tensor, hr: Tensor, shift: Tensor | None = None, views: Tensor | None = None
    ) -> dict[str, Tensor]:
        """What of an iteration happens on the device. shift: see `sr.losses.shifted`; views: `sr.teaching.lesson`."""
        lr, hr = self._as_the_networks_take(lr, hr)
        with self._autocast():
            sr = self._generator(lr)
            pictures = [sr.float(), hr]
            if self.teacher is not None:
                pictures.append(lesson(self.teacher, lr, hr, self.config.teacher_share, views))
        if shift is not None:
            pictures = shifted(shift, *pictures)
        sr, hr, answer = pictures[0], pictures[1], pictures[-1]  # without a teacher the answer is HR
        logged = self._discriminator_step(sr.detach(), hr) if self.discriminator is not None else {}
        losses = self.generator_losses(sr, hr, answer)
        logged |= losses
        logged["generator"] = sum(self.terms[name][0] * value for name, value in losses.items())
        logged["grad_norm_g"] = self._update(self.generator, self.generator_optimizer, logged["generator"])
        logged["colour_shift"] = (_picture(sr.detach(), hr) - hr).mean((0, 2, 3)).abs().max() * self._levels
        if self.average is not None:
            self.average.update()
        return {name: value.detach() for name, value in logged.items()}

    @property
    def _levels(self) -> float:
        """Of 255, in 1 of the generator's output."""
        return 255 if self.generator.is_luma else 127.5

    def _as_the_networks_take(self, lr: Tensor, hr: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 RGB -> what the generator takes and gives: luma in [0, 1], or RGB in [0, 1] and in [-1, 1]."""
        lr = lr.float().div(255)
        if self.generator.is_luma:
            lr, hr = luma(lr), luma(hr.float().div(255))
        else:
            hr = hr.float().div(127.5).sub(1)
        return tuple(images.contiguous(memory_format=torch.channels_last) for images in (lr, hr))

    def _follow_schedule(self) -> None:
        content = self.terms["content"][1] if "content" in self.terms else None
        if isinstance(content, RecursiveSupervisionLoss):
            content.alpha = self.config.recursion_weight * (1 - self.share_done)
        rates = {"generator_optimizer": self.config.lr}
        rates["discriminator_optimizer"] = self.config.discriminator_lr or self.config.lr
        for name, optimizer in self._optimizers().items():
            for group in optimizer.param_groups:
                rate = rates[name] * self.lr_factor()
                if isinstance(group["lr"], Tensor):
                    group["lr"].fill_(rate)
                else:
                    group["lr"] = rate

    def _discriminator_step(self, sr: Tensor, hr: Tensor) -> dict[str, Tensor]:
        with self._autocast():
            real, fake = self._discriminator(hr), self._discriminator(sr)
        loss = DiscriminatorLoss(self.config.label_smoothing)(real, fake)
        norm = self._update(self.discriminator, self.discriminator_optimizer, loss)
        real, fake = real.detach().float(), fake.detach().float()
        return {
            "discriminator": loss,
            "d_real": real.sigmoid().mean(),
            "d_fake": fake.sigmoid().mean(),
            "d_accuracy": ((real > 0).float().mean() + (fake < 0).float().mean()) / 2,
            "grad_norm_d": norm,
        }

    def generator_losses(self, sr: Tensor, hr: Tensor, answer: Tensor) -> dict[str, Tensor]:
        """Every configured term of G's loss, not yet weighted.

        sr: the generator's output; hr: the original; answer: what the content loss compares with, HR or a teacher's.
        """
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
                elif name == "content":
                    losses[name] = loss(sr, answer)
                else:
                    losses[name] = loss(_picture(sr, hr), hr)
        return losses

    def _update(self, network: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor) -> Tensor:
        """Back-propagates, clips and steps; returns the gradient's norm before clipping."""
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.get_total_norm([p.grad for p in network.parameters() if p.grad is not None])
        if self.config.clip_grad_norm is not None:
            nn.utils.clip_grads_with_norm_(network.parameters(), self.config.clip_grad_norm, norm)
        optimizer.step()
        return norm

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def result(self) -> dict[str, Tensor]:
        """The generator's state dict that the run delivers: the moving average where there is one."""
        return (self.generator if self.average is None else self.average).state_dict()

    def _optimizers(self) -> dict[str, torch.optim.Optimizer]:
        optimizers = {"generator_optimizer": self.generator_optimizer}
        if self.discriminator is not None:
            optimizers["discriminator_optimizer"] = self.discriminator_optimizer
        return optimizers

    def _parts(self) -> dict[str, Any]:
        networks = {"generator": self.generator, "discriminator": self.discriminator, "average": self.average}
        return {name: part for name, part in networks.items() if part is not None} | self._optimizers()

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed run needs; the schedule and the data's position follow from step and seconds."""
        facts = {"config": asdict(self.config), "parent_card": self.parent_card, "origins": self.origins}
        facts |= {"step": self.step, "seconds": self.seconds}
        return facts | {name: part.state_dict() for name, part in self._parts().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step, self.seconds = state["step"], state["seconds"]
        self.parent_card, self.origins = state["parent_card"], state.get("origins", {})
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        for optimizer in self._optimizers().values():
            for group in optimizer.param_groups:
                # A checkpoint may come from another kind of device.
                group["lr"] = self._learning_rate()
                if "capturable" in group:
                    group["capturable"] = self._replay is not None


def _picture(output: Tensor, hr: Tensor) -> Tensor:
    """The result in a generator's output, without the predictions that DRCN gives besides."""
    return output[:, : hr.shape[1]]
