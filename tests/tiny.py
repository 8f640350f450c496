"""Trainings that take seconds: settings and what the tests of several files look at."""

import csv
from pathlib import Path

import torch

SETTINGS = ["num_blocks=1", "channels=8", "discriminator_channels=4", "crop_size=32", "batch_size=2", "log_steps=2"]
SRRESNET = ["--config", "srresnet-mse-cpu", "--device", "cpu", "--set", *SETTINGS, "warmup_steps=2"]


def rows(out: Path) -> list[dict[str, str]]:
    """The log of a run."""
    with open(out / "log.csv", newline="") as file:
        return list(csv.DictReader(file))


def assert_equal(a: object, b: object) -> None:
    """Nested dicts, lists and tensors, bit for bit."""
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        a, b = list(a.values()), list(b.values())
    if isinstance(a, list):
        for x, y in zip(a, b, strict=True):
            assert_equal(x, y)
    else:
        assert torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b
