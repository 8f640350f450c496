"""The exponential moving average of a network's weights, which short trainings deliver in place of the last ones."""

from copy import deepcopy

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class MovingAverage:
    """average = decay * average + (1 - decay) * network, for parameters and floating-point buffers.

    It starts as a copy of `network`. torch's AveragedModel does the same, but waits for the GPU at each update.
    """

    def __init__(self, network: nn.Module, decay: float):
        self.module = deepcopy(network).requires_grad_(False)
        self._update = get_ema_multi_avg_fn(decay)
        # Both stay valid: optimizers and load_state_dict write in place.
        self._mine, self._theirs = _floating(self.module), _floating(network)

    @torch.no_grad()
    def update(self) -> None:
        """Takes up the network's present weights."""
        self._update(self._mine, self._theirs, 0)

    def state_dict(self) -> dict[str, torch.Tensor]:
        return self.module.state_dict()

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        self.module.load_state_dict(state)


def _floating(network: nn.Module) -> list[torch.Tensor]:
    return [value for value in network.state_dict().values() if value.is_floating_point()]
