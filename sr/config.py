"""The training configuration: one typed dataclass holds every setting; an unknown key is an error."""

import contextlib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import yaml

from sr.crops import DEGRADATIONS
from sr.errors import SRError
from sr.models import NETWORKS

PRESETS = Path(__file__).parent / "configs"
CHOICES = {
    "network": tuple(NETWORKS),
    "content": ("mse", "l1", "vgg22", "vgg54"),
    "optimizer": ("adam", "soap"),
    "schedule": ("constant", "drop", "cosine"),
    "precision": ("auto", "fp32", "bf16"),
    "degradation": DEGRADATIONS,
    "compile": ("auto", "always", "never"),
}
# What the networks that enlarge luma alone have no use for, and the value that leaves it out.
RGB_ONLY = {
    "adversarial_weight": 0.0,
    "chroma_weight": 0.0,
    "colour_weight": 0.0,
    "teacher": None,
    "grid_weight": 0.0,
    "tv_weight": 0.0,
    "freeze_batch_norm": False,
    "sync_batch_norm": False,
}


@dataclass(frozen=True)
class TrainConfig:
    """Defaults are the paper's SRResNet-MSE (section 3.2) unless a comment says otherwise."""

    name: str  # of the trained method, e.g. srresnet; names the weights that come out
    # generator and discriminator
    network: str = "srresnet"  # or srcnn, drcn, espcn, which are trained on luma alone
    num_blocks: int = 16  # residual blocks of SRResNet, recursions of DRCN; the others have one size
    channels: int = 64  # of SRResNet or DRCN
    scale: int = 4
    discriminator_channels: int = 64
    init: str | None = None  # generator to start from: a .safetensors file or a shipped method's name
    # data
    crop_size: int = 96  # HR pixels
    batch_size: int = 16  # crops of distinct images, over all processes together
    degradation: str = "bicubic"
    augment: bool = False  # flips and quarter turns
    rescale_min: float = 1.0  # HR reduced by a factor from [rescale_min, 1] for half of the crops
    # loss: the weighted sum of its terms
    content: str = "mse"
    content_weight: float = 1.0
    teacher: str | None = None  # as init; the content loss compares with this generator's pictures (`sr.teaching`)
    teacher_share: float = 1.0  # of the teacher's picture in what the content loss compares with; the rest is HR
    teacher_views: int = 0  # of the eight flips and turns, drawn for each crop; the teacher's picture is their mean
    pixel_weight: float = 0.0  # not in the paper
    chroma_weight: float = 0.0  # L1 on Cb and Cr, against coloured grain; not in the paper
    colour_weight: float = 0.0  # L1 on the mean colours of windows of 32 pixels; not in the paper
    grid_weight: float = 0.0  # against grids of the upsampling's period; not in the paper
    adversarial_weight: float = 0.0  # above 0 makes it a GAN; the paper's is 1e-3
    label_smoothing: float = 0.0  # D learns HR as 1 minus so much; not in the paper
    shift_losses: bool = False  # SR and HR are shifted together by a random 0 to 15 pixels before the losses
    tv_weight: float = 0.0  # 2e-8 for SRResNet-VGG22
    recursion_weight: float = 0.0  # DRCN's alpha: the intermediate predictions' share at first; falls linearly to 0
    weight_decay: float = 0.0  # L2 penalty, as Adam's: its gradient is so many times the weights
    # optimisation
    iterations: int | None = 1_000_000  # update steps; none: a time budget ends the run
    minutes: float | None = None  # time budget; the schedule finishes inside it
    optimizer: str = "adam"  # the generator's; soap: see `sr.optimizers`. The discriminator's is Adam
    lr: float = 1e-4
    discriminator_lr: float | None = None  # none: as lr
    schedule: str = "constant"  # drop: a tenth after half of the run, as the paper's SRGAN
    warmup_steps: int = 0
    beta1: float = 0.9
    beta2: float = 0.999
    clip_grad_norm: float | None = None  # of all gradients of a network together
    freeze_batch_norm: bool = False  # G's BN uses the statistics it starts with, as at test time
    ema_decay: float | None = None  # the exponential moving average of G's weights becomes the result
    precision: str = "fp32"  # bf16: autocast, master weights and losses stay fp32; auto: bf16 where the device has it
    compile: str = "auto"  # torch.compile; auto: on CUDA without cuda_graph, when its compiler is there
    cuda_graph: bool = True  # on CUDA, in one process, with adam: the step is recorded once and replayed
    sync_batch_norm: bool = False  # statistics over the crops of all processes; the default is each its own
    seed: int = 0
    # bookkeeping
    workers: int = 0  # processes that cut crops on the host
    resident_share: float = 0.3  # of the GPU's memory: images that need no more are kept there and cropped there
    log_steps: int = 50
    checkpoint_minutes: float = 5.0
    keep_checkpoints: int = 3  # the last ones
    validation_minutes: float = 15.0

    def __post_init__(self):
        for key, choices in CHOICES.items():
            if getattr(self, key) not in choices:
                raise SRError(f"{key} is {getattr(self, key)!r}, expected one of {', '.join(choices)}")
        if (self.iterations is None) == (self.minutes is None):
            raise SRError("give either iterations or minutes, and set the other to null")
        positive = (
            "num_blocks",
            "channels",
            "batch_size",
            "lr",
            "iterations",
            "minutes",
            "log_steps",
            "keep_checkpoints",
            "clip_grad_norm",
        )
        for key in positive:
            if (value := getattr(self, key)) is not None and value <= 0:
                raise SRError(f"{key} must be above 0, got {value}")
        if self.crop_size <= 0 or self.crop_size % (16 if self.is_gan else self.scale):
            raise SRError(f"crop_size must be a multiple of {16 if self.is_gan else self.scale}, got {self.crop_size}")
        if not 0 < self.rescale_min <= 1:
            raise SRError(f"rescale_min must be above 0 and at most 1, got {self.rescale_min}")
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise SRError(f"ema_decay must lie between 0 and 1, got {self.ema_decay}")
        if not 0 <= self.label_smoothing < 0.5:
            raise SRError(f"label_smoothing must be 0 or more and below 0.5, got {self.label_smoothing}")
        if self.label_smoothing and not self.is_gan:
            raise SRError("label_smoothing is the discriminator's: it needs an adversarial_weight above 0")
        self._check_teacher()
        if self.weight_decay < 0:
            raise SRError(f"weight_decay must be 0 or more, got {self.weight_decay}")
        if self.weight_decay and self.optimizer == "soap":
            raise SRError(f"weight_decay {self.weight_decay} is Adam's: leave it out or set optimizer to adam")
        self._check_network()

    def _check_teacher(self) -> None:
        if not 0 < self.teacher_share <= 1:
            raise SRError(f"teacher_share must be above 0 and at most 1, got {self.teacher_share}")
        if not 0 <= self.teacher_views <= 8:
            raise SRError(f"teacher_views must be 0 to 8, of the eight flips and turns, got {self.teacher_views}")
        if self.teacher is None and (self.teacher_share, self.teacher_views) != (1, 0):
            raise SRError("teacher_share and teacher_views are about a teacher's pictures: name a teacher")

    def _check_network(self) -> None:
        if NETWORKS[self.network].is_luma:
            useless = [key for key, off in RGB_ONLY.items() if getattr(self, key) != off]
            useless += ["content"] if self.content.startswith("vgg") else []
            for key in useless:
                raise SRError(f"{key} {getattr(self, key)} needs network srresnet; {self.network} enlarges luma alone")
        if self.network != "drcn" and self.recursion_weight:
            raise SRError(f"recursion_weight is of network drcn, not of {self.network}; leave it out")
        if self.network == "drcn" and self.content != "mse":
            raise SRError(f"network drcn is trained with content mse, got {self.content}")
        if not 0 <= self.recursion_weight <= 1:
            raise SRError(f"recursion_weight must lie between 0 and 1, got {self.recursion_weight}")

    @property
    def is_gan(self) -> bool:
        return self.adversarial_weight > 0

    def to_yaml(self) -> str:
        return yaml.safe_dump(asdict(self), sort_keys=False)


# What the networks are and the run's name: a checkpoint's weights fit no other.
FIXED_ON_RESUME = {"name", "network", "num_blocks", "channels", "scale", "discriminator_channels", "crop_size"}
FIXED_ON_RESUME |= {"init", "teacher", "adversarial_weight", "optimizer", "ema_decay", "seed"}


def presets() -> dict[str, str]:
    """Every preset's name and, from the first line of its file, what it is."""
    files = sorted(PRESETS.glob("*.yaml"))
    return {file.stem: file.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ") for file in files}


def load_config(name_or_file: str, overrides: dict[str, Any] | None = None) -> TrainConfig:
    """A preset by its name or a YAML file, with `overrides` on top.

    Setting `minutes` in the overrides takes the place of `iterations`, and the other way round.
    Raises SRError for an unknown preset or key, a value of the wrong type or out of range.
    """
    path = Path(name_or_file) if name_or_file.endswith((".yaml", ".yml")) else PRESETS / f"{name_or_file}.yaml"
    if not path.is_file():
        raise SRError(f"no configuration {name_or_file!r}; give a .yaml file or one of: {', '.join(presets())}")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SRError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(values, dict):
        raise SRError(f"{path} must hold `key: value` lines")
    overrides = dict(overrides or {})
    if overrides.get("minutes") is not None:
        overrides.setdefault("iterations", None)
    elif overrides.get("iterations") is not None:
        overrides.setdefault("minutes", None)
    return config_from_dict(values | overrides, source=str(path))


def config_from_dict(values: dict[str, Any], source: str) -> TrainConfig:
    """Checks keys and types. `source` names where the values come from in the error messages."""
    types = get_type_hints(TrainConfig)
    known = [field.name for field in fields(TrainConfig)]
    unknown = [key for key in values if key not in types]
    if unknown:
        raise SRError(f"{source}: unknown key {', '.join(map(repr, unknown))}; known are {', '.join(known)}")
    if "name" not in values:
        raise SRError(f"{source}: the key 'name' is missing")
    return TrainConfig(**{key: _typed(key, value, types[key], source) for key, value in values.items()})


def parse_assignments(assignments: list[str]) -> dict[str, Any]:
    """["lr=4e-4", "augment=true"] -> {"lr": ..., "augment": True}, values read as YAML."""
    result = {}
    for text in assignments:
        key, separator, value = text.partition("=")
        if not separator:
            raise SRError(f"--set expects KEY=VALUE, got {text!r}")
        result[key.strip()] = yaml.safe_load(value)
    return result


def _typed(key: str, value: Any, wanted: Any, source: str) -> Any:
    accepted = get_args(wanted) or (wanted,)
    if float in accepted and isinstance(value, str):
        # YAML 1.1 reads 1e-4 as text: a number in it needs a dot.
        with contextlib.suppress(ValueError):
            value = float(value)
    if float in accepted and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, accepted) or (isinstance(value, bool) and bool not in accepted):
        names = " or ".join("null" if kind is type(None) else kind.__name__ for kind in accepted)
        raise SRError(f"{source}: {key} must be {names}, got {value!r}")
    return value
