"""The objective figures of the paper (Ledig et al., CVPR 2017, Tables 1 and 2), to hold beside measured ones."""

import math
from collections.abc import Mapping

# PSNR in dB and SSIM on Set5, Set14 and BSD100, in the protocol "paper".
TABLE_2 = {
    "nearest": {"Set5": (26.26, 0.7552), "Set14": (24.64, 0.7100), "BSD100": (25.02, 0.6606)},
    "bicubic": {"Set5": (28.43, 0.8211), "Set14": (25.99, 0.7486), "BSD100": (25.94, 0.6935)},
    "srcnn": {"Set5": (30.07, 0.8627), "Set14": (27.18, 0.7861), "BSD100": (26.68, 0.7291)},
    "selfexsr": {"Set5": (30.33, 0.872), "Set14": (27.45, 0.7972), "BSD100": (26.83, 0.7387)},
    "drcn": {"Set5": (31.52, 0.8938), "Set14": (28.02, 0.8074), "BSD100": (27.21, 0.7493)},
    "espcn": {"Set5": (30.76, 0.8784), "Set14": (27.66, 0.8004), "BSD100": (27.02, 0.7442)},
    "srresnet": {"Set5": (32.05, 0.9019), "Set14": (28.49, 0.8184), "BSD100": (27.58, 0.7620)},
    "srgan": {"Set5": (29.40, 0.8472), "Set14": (26.02, 0.7397), "BSD100": (25.16, 0.6688)},
    "hr": {"Set5": (math.inf, 1.0), "Set14": (math.inf, 1.0), "BSD100": (math.inf, 1.0)},
}

# The losses compared; SRResNet-MSE and SRGAN-VGG54 are Table 2's srresnet and srgan.
TABLE_1 = {
    "srresnet": {"Set5": (32.05, 0.9019), "Set14": (28.49, 0.8184)},
    "srresnet-vgg22": {"Set5": (30.51, 0.8803), "Set14": (27.19, 0.7807)},
    "srgan-mse": {"Set5": (30.64, 0.8701), "Set14": (26.92, 0.7611)},
    "srgan-vgg22": {"Set5": (29.84, 0.8468), "Set14": (26.44, 0.7518)},
    "srgan": {"Set5": (29.40, 0.8472), "Set14": (26.02, 0.7397)},
}

ORDER = (*list(TABLE_2)[:-2], *list(TABLE_1)[1:-1], "srgan", "hr")
"""All methods of the two tables, in the order in which the paper has them."""

TITLES = {"selfexsr": "SelfExSR", "hr": "HR"}
"""Names of what this project does not make."""

PAPER: Mapping[str, Mapping[str, tuple[float, float]]] = {**TABLE_1, **TABLE_2}
"""Both tables: method -> set -> (PSNR, SSIM)."""
