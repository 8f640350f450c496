"""A generator taught by another one, or by itself before, beside or instead of HR."""

import torch
from torch import Tensor, nn

from sr.crops import turn

FLAT_SHARE = 0.5  # of the neighbours, from which on a crop is a drawing


def lesson(teacher: nn.Module, lr: Tensor, hr: Tensor, share: float = 1.0, views: Tensor | None = None) -> Tensor:
    """What a pupil is to answer: `share` of the teacher's picture of LR and the rest of HR; HR itself for drawings.

    An SRGAN's texture is worth keeping and cannot be learned from HR by a pixel loss, which blurs what LR does not
    tell. Letters and flat shapes have no texture, and LR tells nearly all of them.

    A network's pictures of the flipped and turned LR, turned back, differ, and their mean is better than each of them
    ("enhanced prediction", Timofte et al., Seven Ways to Improve Example-Based Single Image Super Resolution, CVPR
    2016). A pupil that has to give what its teacher gives for other views learns the mean, at one network's cost.

    lr: square crops (N, 3, s, s) in [0, 1]. hr: (N, 3, 4s, 4s) in [-1, 1].
    views: int64 (V, N), for each crop the symmetries (`sr.crops.turn`) over which the teacher's pictures are averaged;
        none: LR as it is. Returns float32 like hr.
    """
    with torch.no_grad():
        if views is None:
            taught = teacher(lr).float()
        else:
            taught = sum(_seen(teacher, lr, symmetry) for symmetry in views) / len(views)
        return torch.where(is_drawing(hr)[:, None, None, None], hr, torch.lerp(hr, taught, share))


def _seen(teacher: nn.Module, lr: Tensor, symmetry: Tensor) -> Tensor:
    turned = turn(lr, symmetry).contiguous(memory_format=torch.channels_last)
    return turn(teacher(turned).float(), symmetry, back=True)


def draw_views(count: int, crops: int) -> Tensor:
    """`count` different ones of the eight symmetries for each crop, drawn at random: int64 (count, crops)."""
    return torch.rand(8, crops).argsort(0)[:count]


def is_drawing(hr: Tensor) -> Tensor:
    """Whether at least FLAT_SHARE of the pixels equal their right neighbour exactly: (N, 3, H, W) -> bool (N,)."""
    return (hr[..., 1:] == hr[..., :-1]).all(1).float().mean((1, 2)) >= FLAT_SHARE
