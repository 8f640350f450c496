"""Training steps replayed as CUDA graphs; without a GPU nothing here runs."""

import pytest
import torch

from sr.config import load_config
from sr.trainer import Trainer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
GAN = {"num_blocks": 2, "channels": 8, "discriminator_channels": 4, "crop_size": 32, "batch_size": 2, "minutes": 1}


def test_a_replayed_step_trains_as_the_plain_one_does():
    """Past the calls that run as they are, with a rate that changes at each step."""
    settings = GAN | {"shift_losses": True, "warmup_steps": 20, "lr": 1e-3, "ema_decay": 0.9, "precision": "fp32"}
    crops = [torch.randint(0, 256, (2, 3, side, side), dtype=torch.uint8) for side in (8, 32)]
    weights = []
    for cuda_graph in (True, False):
        config = load_config("srgan-mse", settings | {"cuda_graph": cuda_graph, "compile": "never"})
        trainer = Trainer(config, torch.device("cuda"))
        start = trainer.result()["tail_conv.weight"].clone()
        for step in range(12):
            trainer.train_step(*((images.roll(step, 0) // (step + 1)).cuda() for images in crops))
        weights.append(trainer.result()["tail_conv.weight"])
    replayed, plain = weights
    assert (plain - start).norm() > 20 * (replayed - plain).norm()
