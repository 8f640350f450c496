"""Measures of a picture besides PSNR and SSIM: of the whole image in RGB, equal in all protocols, lower is better."""

from collections.abc import Callable
from threading import Lock
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from sr.errors import SRError
from sr.losses import VGGLoss


class Measure(Protocol):
    """key: its name in results. title: for people. description: what it is and what it was computed with.

    Called with an original, uint8 (H, W, 3), it gives a function of pictures of the same size and kind, so that what
    depends on the original alone is computed once for all methods.
    """

    key: str
    title: str
    description: str

    def __call__(self, hr: np.ndarray) -> Callable[[np.ndarray], float]: ...


class VGGDistance:
    """VGGLoss (section 2.2.1 of the paper) between the 8-bit picture and HR, both in [-1, 1]."""

    def __init__(self, loss: VGGLoss):
        layer = "54" if "relu5" in loss.description else "22"
        self.key, self.title = f"vgg{layer}", f"VGG{layer}"
        self.network = loss.description
        self.description = f"squared distance of {loss.description} features, divided by 12.75 before"
        self._loss = loss

    def __call__(self, hr: np.ndarray) -> Callable[[np.ndarray], float]:
        original = self._features(hr)
        return lambda picture: float((self._features(picture) - original).square().sum(1).mean())

    @torch.inference_mode()
    def _features(self, image: np.ndarray) -> Tensor:
        return self._loss.extract(_to_tensor(image, self._loss.mean.device))


class LPIPS:
    """Learned perceptual distance (Zhang et al., CVPR 2018), AlexNet, as torchmetrics computes it.

    Raises SRError where AlexNet's weights, which torchvision downloads on first use, cannot be had.
    """

    key, title = "lpips", "LPIPS"

    def __init__(self, device: torch.device):
        import torchmetrics
        from torchmetrics.image import LearnedPerceptualImagePatchSimilarity

        try:
            self._metric = LearnedPerceptualImagePatchSimilarity(net_type="alex").eval().to(device)
        except OSError as error:
            raise SRError(f"AlexNet's weights could not be downloaded ({error})") from error
        self.description = f"AlexNet, torchmetrics {torchmetrics.__version__}"
        self._device, self._lock = device, Lock()

    def __call__(self, hr: np.ndarray) -> Callable[[np.ndarray], float]:
        original = _to_tensor(hr, self._device)
        return lambda picture: self._distance(_to_tensor(picture, self._device), original)

    @torch.inference_mode()
    def _distance(self, picture: Tensor, original: Tensor) -> float:
        with self._lock:  # it keeps a sum, and images are measured in several threads
            distance = float(self._metric(picture, original))
            self._metric.reset()
        return distance


class Blur:
    """No-reference blur (Crete et al., SPIE 2007) of the luma, 0 (sharp) to 1, as scikit-image computes it.

    It says how much a picture loses when it is blurred once more, and nothing of whether its detail is true.
    """

    key, title = "blur", "blur"

    def __init__(self) -> None:
        import skimage

        self.description = f"no-reference blur effect, scikit-image {skimage.__version__}"

    def __call__(self, hr: np.ndarray) -> Callable[[np.ndarray], float]:
        from skimage.measure import blur_effect

        return lambda picture: float(blur_effect(picture, channel_axis=-1))


def _to_tensor(image: np.ndarray, device: torch.device) -> Tensor:
    """uint8 (H, W, 3) -> (1, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(image).to(device).permute(2, 0, 1)[None] / 127.5 - 1
