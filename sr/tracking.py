"""The record of a training run: `log.csv`, TensorBoard's event files and sample pictures."""

import csv
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from sr.errors import SRError
from sr.files import write_text
from sr.images import write_png
from sr.resize import imresize, nearest

TAGS = {
    "patches": "progress/patches",
    "seconds": "progress/seconds",
    "lr": "progress/lr",
    "generator": "loss/generator",
    "content": "loss/content",
    "pixel": "loss/pixel",
    "chroma": "loss/chroma",
    "colour": "loss/colour",
    "grid": "loss/grid",
    "adversarial": "loss/adversarial",
    "tv": "loss/tv",
    "discriminator": "loss/discriminator",
    "d_real": "gan/d_real",
    "d_fake": "gan/d_fake",
    "d_accuracy": "gan/d_accuracy",
    "grad_norm_g": "grad_norm/g",
    "grad_norm_d": "grad_norm/d",
    "colour_shift": "output/colour_shift",
    "patches_per_s": "speed/patches_per_s",
    "data_wait": "speed/data_wait",
    "psnr_standard": "validation/psnr_standard",
}
"""TensorBoard's name of every figure that is logged; TensorBoard groups by what stands before the slash."""

COLUMNS = ("step", *TAGS)
"""The columns of `log.csv`, in their order."""

SCALE = 4  # HR pixels per LR pixel, a side
GAP = 4  # pixels between the panels of a sample picture


class RunLog:
    """The record that a run keeps in its folder; a context manager.

    out: gets `log.csv` (`COLUMNS`), `tensorboard/` and `samples/step-NNNNNNN.png`.
    resume_step: the last step of the checkpoint that is continued. What was recorded later is forgotten, because the
        resumed run records it again. None starts a new record: nothing of an earlier one in `out` stays.
    Raises SRError when `out` holds a log with other columns.
    """

    def __init__(self, out: Path, resume_step: int | None):
        # It takes a second, and reading a log needs none of it.
        from torch.utils.tensorboard import SummaryWriter

        first_step = 0 if resume_step is None else resume_step + 1
        _forget_from(first_step, out)
        self._samples = out / "samples"
        self._file = open(out / "log.csv", "a", newline="", encoding="utf-8")  # noqa: SIM115 - close() closes it
        self._csv = csv.DictWriter(self._file, COLUMNS, lineterminator="\n")
        self._tensorboard = SummaryWriter(out / "tensorboard", purge_step=first_step)

    def scalars(self, row: dict[str, float | int]) -> None:
        """Records the figures of a step: "step" and any other of `COLUMNS`.

        On return the row has left this process: a kill loses nothing of it. Raises ValueError for another name.
        """
        self._csv.writerow({name: f"{value:.6g}" if isinstance(value, float) else value for name, value in row.items()})
        self._file.flush()
        for name, tag in TAGS.items():
            if name in row:
                self._tensorboard.add_scalar(tag, row[name], row["step"])
        self._tensorboard.flush()

    def images(self, step: int, lr: Tensor, sr: Tensor, hr: Tensor) -> None:
        """Records sample pictures, as `grid` arranges them."""
        picture = grid(lr, sr, hr)
        self._tensorboard.add_image("samples", picture, step)
        self._tensorboard.flush()
        write_png(Image.fromarray(picture.permute(1, 2, 0).numpy()), self._samples / f"step-{step:07}.png")

    def close(self) -> None:
        self._file.close()
        self._tensorboard.close()

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def grid(lr: Tensor, sr: Tensor, hr: Tensor) -> Tensor:
    """Sample pictures side by side: a row each, its columns LR (pixels repeated), bicubic, SR and HR, white between.

    lr: (N, 3, h, w), sr and hr: (N, 3, 4h, 4w), all uint8, on any device. Returns uint8 (3, H, W) on the CPU.
    """
    from torchvision.utils import make_grid  # a second to import, and reading a log needs none of it

    lr, sr, hr = lr.cpu(), sr.cpu(), hr.cpu()
    panels = torch.stack([nearest(lr, SCALE), imresize(lr, SCALE), sr, hr], dim=1)
    return make_grid(panels.flatten(0, 1), nrow=panels.shape[1], padding=GAP, pad_value=255)


def whole_lines(log: Path) -> list[str]:
    """The lines of a log, the header first. A last line that a kill cut short is left out."""
    # Bytes that are no text make lines that are no rows, which whoever asks finds out anyway.
    return log.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]


def _forget_from(first_step: int, out: Path) -> None:
    """Leaves the log's header and its rows before `first_step`, and the pictures from before."""
    log, header = out / "log.csv", ",".join(COLUMNS)
    found = (whole_lines(log) if log.exists() else []) or [header]
    if found[0] != header:
        raise SRError(f"{log} has other columns than this version writes; use another --out")
    rows = [line for line in found[1:] if int(line.partition(",")[0]) < first_step]
    text = "".join(f"{line}\n" for line in [header, *rows])
    write_text(log, text)
    for picture in (out / "samples").glob("step-*.png"):
        number = picture.stem.removeprefix("step-")
        if number.isdecimal() and int(number) >= first_step:
            picture.unlink()
    if first_step == 0:
        # Of a continued run TensorBoard itself hides what the new file replaces (`purge_step`).
        for events in (out / "tensorboard").glob("events.out.tfevents.*"):
            events.unlink()
