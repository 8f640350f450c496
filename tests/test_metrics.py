import math

import numpy as np
import pytest
import torch
from PIL import Image

from sr.errors import SRError
from sr.metrics import luma, psnr, ssim
from sr.paper import TABLE_2
from sr.protocols import PROTOCOLS
from sr.resize import imresize, nearest

# Reference figures: mean PSNR in dB and mean SSIM over the set.
MEASURED = {
    ("bicubic", "Set5"): {"paper": (28.435, 0.8214), "standard": (28.419, 0.8102)},
    ("bicubic", "Set14"): {"paper": (25.982, 0.7477), "standard": (26.089, 0.7042)},
    ("bicubic", "BSD100"): {"paper": (25.942, 0.6935), "standard": (25.958, 0.6673)},
    ("nearest", "Set5"): {"paper": (26.257, 0.7550), "standard": (26.250, 0.7372)},
    ("nearest", "Set14"): {"paper": (24.627, 0.7089), "standard": (24.737, 0.6548)},
    ("nearest", "BSD100"): {"paper": (25.016, 0.6601), "standard": (25.033, 0.6293)},
}
ENLARGE = {"bicubic": imresize, "nearest": nearest}


def grey(height: int, width: int, value: int) -> np.ndarray:
    return np.full((height, width), value, np.uint8)


def noise(height: int, width: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def smooth(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([y * 200 // height, x * 200 // width, (x + y) % 256], axis=2).astype(np.uint8)


@pytest.mark.data
@pytest.mark.parametrize(("method", "name"), MEASURED)
def test_bicubic_and_nearest_have_the_measured_figures(sr_data, method, name):
    figures = {protocol: [] for protocol in PROTOCOLS}
    for path in sorted((sr_data / "benchmark" / name / "HR").glob("*.png")):
        hr = np.array(Image.open(path).convert("RGB"))
        lr = np.array(Image.open(path.parents[1] / "LRx4" / path.name).convert("RGB"))
        sr = ENLARGE[method](torch.from_numpy(lr).permute(2, 0, 1)[None], 4)[0].permute(1, 2, 0).numpy()
        for protocol in PROTOCOLS:
            figures[protocol].append((psnr(sr, hr, protocol), ssim(sr, hr, protocol)))
    for protocol in PROTOCOLS:
        mean_psnr, mean_ssim = np.mean(figures[protocol], axis=0)
        expected_psnr, expected_ssim = MEASURED[method, name][protocol]
        assert mean_psnr == pytest.approx(expected_psnr, abs=0.005), protocol
        assert mean_ssim == pytest.approx(expected_ssim, abs=0.0005), protocol
        if protocol == "paper":
            published_psnr, published_ssim = TABLE_2[method][name]
            assert mean_psnr == pytest.approx(published_psnr, abs=0.02)
            assert mean_ssim == pytest.approx(published_ssim, abs=0.0015)


@pytest.mark.parametrize(
    ("rgb", "bt709", "bt601"),
    [
        ((0, 0, 0), 16, 16),
        ((255, 255, 255), 235, 235),
        ((255, 0, 0), 63, 81),  # 16 + 219 * 0.2126 = 62.56; 16 + 65.481 = 81.48
        ((0, 255, 0), 173, 145),  # 16 + 219 * 0.7152 = 172.63; 16 + 128.553 = 144.55
        ((0, 0, 255), 32, 41),  # 16 + 219 * 0.0722 = 31.81; 16 + 24.966 = 40.97
        ((100, 100, 100), 102, 102),  # 16 + 219 * 100 / 255 = 101.88
    ],
)
def test_luma_of_known_colours(rgb, bt709, bt601):
    image = np.full((2, 3, 3), rgb, np.uint8)
    for protocol, expected in (("paper", bt709), ("standard", bt601)):
        result = luma(image, protocol)
        assert result.shape == (2, 3)
        assert result.dtype == np.float64
        assert (result == expected).all()


def test_luma_rounds_halves_up():
    # 16 + (128.553 * 204 + 24.966 * 68) / 255 = 125.5
    assert luma(np.full((1, 1, 3), (0, 204, 68), np.uint8), "standard")[0, 0] == 126
    # 16 + 219 * (0.2126 * 10 + 0.7152 * 51 + 0.0722 * 54) / 255 = 52.5
    assert luma(np.full((1, 1, 3), (10, 51, 54), np.uint8), "paper")[0, 0] == 53


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_greyscale_counts_as_equal_rgb(protocol):
    sr, hr = noise(60, 70, 1)[..., 0], noise(60, 70, 2)[..., 0]
    as_rgb = [np.repeat(image[..., None], 3, axis=2) for image in (sr, hr)]
    assert (luma(hr, protocol) == luma(as_rgb[1], protocol)).all()
    assert psnr(sr, hr, protocol) == psnr(*as_rgb, protocol)
    assert ssim(sr, hr, protocol) == ssim(*as_rgb, protocol)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_psnr_of_a_constant_difference(protocol):
    # Black and white are 219 apart in luma; 0 and 100 are 86.
    assert psnr(grey(20, 20, 255), grey(20, 20, 0), protocol) == pytest.approx(20 * math.log10(255 / 219))
    assert psnr(grey(20, 20, 100), grey(20, 20, 0), protocol) == pytest.approx(20 * math.log10(255 / 86))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_one_wrong_pixel_counts_only_inside_the_border(protocol):
    hr = grey(28, 18, 0)
    outside, inside = hr.copy(), hr.copy()
    outside[3, 9] = 255
    inside[4, 4] = 255
    assert psnr(outside, hr, protocol) == math.inf
    assert psnr(inside, hr, protocol) == pytest.approx(10 * math.log10(255**2 / (219**2 / (20 * 10))))
    assert psnr(outside, hr, protocol, border=0) == pytest.approx(10 * math.log10(255**2 / (219**2 / (28 * 18))))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_image_against_itself(protocol):
    image = noise(70, 90, 3)
    assert psnr(image, image, protocol) == math.inf
    assert ssim(image, image, protocol) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_metrics_are_symmetric_and_fall_with_the_damage(protocol):
    hr = smooth(120, 100)
    random = np.random.default_rng(0).normal(size=hr.shape)
    slight, strong = (np.clip(hr + amount * random, 0, 255).astype(np.uint8) for amount in (5, 30))
    for metric in (psnr, ssim):
        assert metric(slight, hr, protocol) == pytest.approx(metric(hr, slight, protocol), rel=1e-12)
        assert metric(slight, hr, protocol) > metric(strong, hr, protocol)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_ssim_of_flat_images_is_the_luminance_term(protocol):
    # Lumas 16 and 235, no variance: (2ab + C1) / (a^2 + b^2 + C1) with C1 = (0.01 * 255)^2, for every window alike.
    expected = (2 * 16 * 235 + 6.5025) / (16**2 + 235**2 + 6.5025)
    assert ssim(grey(60, 60, 0), grey(60, 60, 255), protocol) == pytest.approx(expected, rel=1e-9)


def test_standard_ssim_window_is_wangs():
    # An 11x11 image has one window. With one bright pixel in its middle, the moments are those of a variable that is
    # bright with the probability of the middle weight.
    taps = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    middle = (taps[5] / taps.sum()) ** 2
    hr, sr = grey(11, 11, 0), grey(11, 11, 0)
    sr[5, 5] = 255
    mean, variance = 16 + 219 * middle, 219**2 * middle * (1 - middle)
    c1, c2 = 2.55**2, 7.65**2
    expected = (2 * mean * 16 + c1) / (mean**2 + 16**2 + c1) * c2 / (variance + c2)
    assert ssim(sr, hr, "standard", border=0) == pytest.approx(expected, rel=1e-9)


def daala_taps(height: int) -> list[int]:
    """The window as described, tap by tap."""
    sigma = height * 1.5 / 256
    side = []
    while True:
        tap = round(256 * math.exp(-0.5 * ((len(side) + 1) / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi)))
        if tap == 0:
            return [*reversed(side), 256 - 2 * sum(side), *side]
        side.append(tap)


def daala_reference(a: np.ndarray, b: np.ndarray) -> float:
    """daala's SSIM of two luma images, pixel by pixel."""
    height, width = a.shape
    taps = daala_taps(height)
    radius = len(taps) // 2
    numerator = denominator = 0.0
    for y in range(height):
        for x in range(width):
            w = sa = sb = saa = sbb = sab = 0
            for v in range(max(0, y - radius), min(height, y + radius + 1)):
                for u in range(max(0, x - radius), min(width, x + radius + 1)):
                    tap = taps[v - y + radius] * taps[u - x + radius]
                    p, q = int(a[v, u]), int(b[v, u])
                    w, sa, sb = w + tap, sa + tap * p, sb + tap * q
                    saa, sbb, sab = saa + tap * p * p, sbb + tap * q * q, sab + tap * p * q
            ma, mb = sa / w, sb / w
            va, vb, cov = saa / w - ma**2, sbb / w - mb**2, sab / w - ma * mb
            c1, c2 = 2.55**2, 7.65**2
            numerator += w * (2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
            denominator += w
    return numerator / denominator


@pytest.mark.parametrize(("height", "taps"), [(40, 1), (80, 3), (171, 7)])
def test_daalas_window_grows_with_the_height_and_sums_to_256(height, taps):
    assert len(daala_taps(height)) == taps
    assert sum(daala_taps(height)) == 256
    hr = noise(height, 24, 5)
    sr = (hr // 2 + noise(height, 24, 6) // 2).astype(np.uint8)
    expected = daala_reference(luma(sr, "paper"), luma(hr, "paper"))
    assert ssim(sr, hr, "paper", border=0) == pytest.approx(expected, rel=1e-9)


def test_paper_ssim_depends_on_the_orientation_and_standard_does_not():
    hr = noise(200, 100, 7)
    sr = np.roll(hr, 1, axis=0)
    turned = [np.rot90(image) for image in (sr, hr)]
    assert ssim(sr, hr, "standard") == pytest.approx(ssim(*turned, "standard"), rel=1e-9)
    assert ssim(sr, hr, "paper") != pytest.approx(ssim(*turned, "paper"), rel=1e-4)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_bad_input_is_refused_in_a_sentence(metric):
    image = noise(40, 30, 8)
    with pytest.raises(SRError, match="30x40 against 30x36"):
        metric(image, image[:36])
    with pytest.raises(SRError, match="8x40"):
        metric(image[:, :8], image[:, :8])
    with pytest.raises(SRError, match="uint8"):
        metric(image / 255.0, image / 255.0)
    with pytest.raises(SRError, match=r"\(32, 22, 4\)"):
        metric(np.dstack([image, image[..., :1]]), image)
    with pytest.raises(SRError, match=r"'y'.*paper, standard"):
        metric(image, image, "y")
    with pytest.raises(SRError, match="border"):
        metric(image, image, border=-1)


def test_standard_ssim_needs_room_for_its_window():
    with pytest.raises(SRError, match="19x19"):
        ssim(noise(18, 40, 9), noise(18, 40, 10), "standard")
    assert -1 <= ssim(noise(19, 19, 9), noise(19, 19, 10), "standard") < 1
