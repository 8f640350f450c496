"""The discriminator of SRGAN (Ledig et al., CVPR 2017, section 2.1.1 and Fig. 4)."""

from torch import Tensor, nn

# (channels relative to the first convolution's, stride) of the eight 3x3 convolutions
LAYERS = ((1, 1), (1, 2), (2, 1), (2, 2), (4, 1), (4, 2), (8, 1), (8, 2))


class Discriminator(nn.Module):
    """Maps HR or SR crops (N, 3, crop_size, crop_size) in [-1, 1] to logits (N, 1); sigmoid(logit) is the paper's D(I).

    The sigmoid is left to the loss, where it is numerically stable (`sr.losses`).

    channels: feature maps of the first convolution (64).
    crop_size: side of the crops in pixels, a multiple of 16 (96). The dense layer fixes it.
    Raises ValueError for another crop size, here and in `forward`.
    """

    def __init__(self, channels: int = 64, crop_size: int = 96):
        super().__init__()
        if crop_size <= 0 or crop_size % 16:
            raise ValueError(f"crop_size must be a positive multiple of 16, got {crop_size}")
        self.crop_size = crop_size
        layers: list[nn.Module] = []
        width = 3
        for i, (factor, stride) in enumerate(LAYERS):
            has_bn = i > 0
            layers.append(nn.Conv2d(width, factor * channels, 3, stride, padding=1, bias=not has_bn))
            if has_bn:
                layers.append(nn.BatchNorm2d(factor * channels))
            layers.append(nn.LeakyReLU(0.2))
            width = factor * channels
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(width * (crop_size // 16) ** 2, 16 * channels),
            nn.LeakyReLU(0.2),
            nn.Linear(16 * channels, 1),
        )

    def forward(self, image: Tensor) -> Tensor:
        if image.shape[-2:] != (self.crop_size, self.crop_size):
            raise ValueError(f"expected crops of {self.crop_size}x{self.crop_size}, got {tuple(image.shape[-2:])}")
        return self.classifier(self.features(image))
