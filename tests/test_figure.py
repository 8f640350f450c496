import numpy as np
import pytest
from PIL import Image

from sr.__main__ import main
from sr.images import read_rgb_array


@pytest.fixture
def photo(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (10, 12, 3), dtype=np.uint8)
    path = tmp_path / "photo.png"
    Image.fromarray(values).resize((101, 83), Image.Resampling.BICUBIC).save(path)
    return path


def test_a_row_an_image_and_a_panel_a_method(photo, tmp_path):
    out = tmp_path / "new" / "figure.png"
    arguments = ["figure", f"{photo}:8,4,40,32", str(photo), "--methods", "nearest", "bicubic", "-o", str(out)]
    assert main([*arguments, "--zoom", "2"]) == 0
    figure, hr = read_rgb_array(out), read_rgb_array(photo)
    # The last panel of the first row is the original's crop, every pixel shown as 2x2.
    left = 2 * (2 * 40 + 8)
    panel = figure[:64, left : left + 80]
    assert np.array_equal(panel[::2, ::2], hr[4:36, 8:48])
    assert np.array_equal(panel[1::2, 1::2], hr[4:36, 8:48])
    assert figure.shape[0] > 64 + 160  # the second row shows the whole image, cropped to 100x80


def test_user_errors(photo, tmp_path, capsys):
    out = ["--methods", "nearest", "-o", str(tmp_path / "figure.png")]
    for image, message in [(f"{photo}:90,0,40,40", "leaves the image"), (str(tmp_path / "no.png"), "no.png")]:
        assert main(["figure", image, *out]) == 2
        assert message in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "figure.png").exists()
