"""Several processes that train together, as torchrun starts them; on their own, a process is rank 0 of 1."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist


@dataclass(frozen=True)
class Ranks:
    """This process's place among those that train together. Rank 0 alone writes files and messages."""

    rank: int = 0
    ranks: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def agree(self, seconds: float, stop: bool) -> tuple[float, bool]:
        """Rank 0's clock, and whether any rank wants to stop: the same on all, so that they take the same steps."""
        if self.ranks == 1:
            return seconds, stop
        # A tensor on the CPU goes through gloo and does not wait for the GPU.
        said = torch.tensor([seconds if self.is_first else 0.0, float(stop)], dtype=torch.float64)
        dist.all_reduce(said, dist.ReduceOp.MAX)
        return said[0].item(), bool(said[1])


ALONE = Ranks()


def is_launched() -> bool:
    """Whether torchrun (or another launcher that sets its variables) started this process."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


@contextmanager
def process_group(device: torch.device) -> Iterator[Ranks]:
    """Joins the process group of torchrun, if that started this process, and leaves it at the end."""
    if not is_launched():
        yield ALONE
        return
    # gloo for tensors on the CPU, NCCL for those on GPUs.
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()
