from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sr.errors import SRError
from sr.resize import gaussian_degrade, imresize, nearest


def read(path: Path) -> torch.Tensor:
    with Image.open(path) as image:
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None]


@pytest.mark.data
@pytest.mark.parametrize("name", ["Set5", "Set14", "BSD100"])
def test_quarter_of_hr_is_the_benchmarks_lr(sr_data, name):
    equal = total = 0
    for file in sorted((sr_data / "benchmark" / name / "HR").glob("*.png")):
        lr = read(file.parents[1] / "LRx4" / file.name)[..., 2:-2, 2:-2].int()
        difference = (imresize(read(file), 1 / 4)[..., 2:-2, 2:-2].int() - lr).abs()
        assert difference.max() <= 1, file
        equal += (difference == 0).sum().item()
        total += difference.numel()
    assert equal / total >= 0.999


@pytest.mark.parametrize(
    ("values", "scale", "expected"),
    [
        # Convolution with Keys' kernel (a = -0.5) by hand: an impulse enlarged x2 samples it at odd quarters.
        ([0, 0, 0, 1, 0, 0, 0], 2, [0, 0, 0, -0.0234375, -0.0703125, 0.2265625, 0.8671875]),
        # Reduced to a half, the kernel is twice as wide: its values halved.
        ([0, 0, 0, 0, 1, 0, 0, 0], 0.5, [-0.01171875, 0.11328125, 0.43359375, -0.03515625]),
    ],
)
def test_impulse_response(values, scale, expected):
    row = torch.tensor(values, dtype=torch.float64).view(1, 1, 1, -1).expand(1, 1, 8, -1)
    result = imresize(row, scale)[0, 0, 0]
    assert result[: len(expected)].tolist() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("scale", [4, 0.25, 0.3, 1.5])
def test_constant_stays_and_size_rounds_up(scale):
    result = imresize(torch.full((2, 3, 17, 22), 0.7), scale)
    assert result.shape == (2, 3, int(np.ceil(17 * scale)), int(np.ceil(22 * scale)))
    assert result.allclose(torch.tensor(0.7))


def test_uint8_rounds_between_the_directions_and_clips():
    checks = (torch.arange(16)[:, None] + torch.arange(16)) % 2 * 255
    image = checks.to(torch.uint8)[None, None]
    enlarged = imresize(image, 4)
    assert enlarged.dtype == torch.uint8
    assert (enlarged.min(), enlarged.max()) == (0, 255)
    rows_first = imresize(image, 0.25)
    columns_first = imresize(image.transpose(-1, -2), 0.25).transpose(-1, -2)
    assert rows_first.equal(columns_first)  # a symmetric picture
    photo = torch.randint(0, 256, (1, 1, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    exact = imresize(photo.double(), 0.25)
    assert 0 < (imresize(photo, 0.25).double() - exact).abs().max() <= 1


def test_float_is_differentiable_and_not_clipped():
    image = torch.rand(1, 1, 8, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: imresize(x, 0.5), image)
    step = torch.tensor([0.0, 0, 0, 0, 1, 1, 1, 1]).expand(1, 1, 8, 8)
    assert imresize(step, 4).max() > 1.01


def test_half_precision_keeps_its_dtype():
    image = torch.rand(1, 3, 16, 16)
    result = imresize(image.bfloat16(), 4)
    assert result.dtype == torch.bfloat16
    assert result.float().allclose(imresize(image, 4), atol=0.02)


@pytest.mark.parametrize(
    ("images", "scale", "message"),
    [
        (torch.zeros(3, 8, 8), 0.5, "shape"),
        (torch.zeros(1, 3, 0, 8), 0.5, "shape"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.int64), 0.5, "int64"),
        (torch.zeros(1, 3, 8, 8), 0, "scale"),
        (torch.zeros(1, 3, 8, 8), float("nan"), "scale"),
    ],
)
def test_bad_input_is_named(images, scale, message):
    with pytest.raises(SRError, match=message):
        imresize(images, scale)


def test_nearest_repeats_pixels():
    image = torch.tensor([[1, 2], [3, 4]], dtype=torch.uint8)[None, None]
    assert nearest(image, 2)[0, 0].tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]


def test_gaussian_degradation_is_centred_and_keeps_the_mean():
    ramp = torch.arange(32, dtype=torch.float64).expand(1, 1, 32, 32)
    small = gaussian_degrade(ramp)
    assert small.shape == (1, 1, 8, 8)
    # Away from the border, a ramp keeps its values at the centres of the 4x4 cells: 1.5, 5.5, 9.5 ...
    assert small[0, 0, 4, 3:5].tolist() == pytest.approx([13.5, 17.5], abs=1e-3)
    assert gaussian_degrade(torch.full((1, 1, 8, 8), 0.3)).allclose(torch.tensor(0.3))
    with pytest.raises(SRError, match="multiples of 4"):
        gaussian_degrade(torch.rand(1, 3, 10, 8))
