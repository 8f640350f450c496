"""The update rules of a training: Adam, the paper's, and SOAP, which makes more of each step where a step is cheap."""

from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from sr.config import TrainConfig


def adam(network: nn.Module, config: TrainConfig, lr: Tensor | float, capturable: bool) -> Adam:
    """Adam (section 3.2 of the paper), its steps recordable as a CUDA graph where `capturable`."""
    fused = next(network.parameters()).device.type in ("cpu", "cuda")
    betas = (config.beta1, config.beta2)
    return Adam(network.parameters(), lr, betas, weight_decay=config.weight_decay, fused=fused, capturable=capturable)


def soap(network: nn.Module, config: TrainConfig) -> Optimizer:
    """Adam in the eigenbasis of Shampoo's preconditioner (Vyas et al. 2024, https://arxiv.org/abs/2409.11321).

    Neighbouring pixels are alike, which leaves Adam's steps, a rate for each weight by itself, next to no way along
    their differences; in a basis where the gradients are not correlated it has one.
    """
    from pytorch_optimizer import SOAP  # takes a second, which other trainings need not wait

    return SOAP(network.parameters(), config.lr, (config.beta1, config.beta2), weight_decay=0)
