from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image

from sr.__main__ import main
from sr.rendering import find_fonts, render


def test_pictures_are_written_and_depend_on_their_seed_alone(tmp_path, capsys):
    assert main(["render", "--count", "3", "--seed", "7", "-o", str(tmp_path / "a")]) == 0
    assert main(["render", "--count", "2", "--seed", "8", "-o", str(tmp_path / "b")]) == 0
    assert [file.name for file in sorted((tmp_path / "a").iterdir())] == [f"rendered_{i:05}.png" for i in (7, 8, 9)]
    for name in ("rendered_00008.png", "rendered_00009.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a" / "rendered_00007.png")), render(7))


def test_every_picture_is_large_enough_for_a_crop_and_has_contrast():
    for seed in range(40):
        picture = render(seed)
        assert picture.dtype == np.uint8
        assert 360 <= picture.shape[0] <= 600
        assert 480 <= picture.shape[1] <= 800
        assert np.ptp(picture.astype(int).mean(2)) > 50, seed


def test_a_folder_of_fonts_is_used_and_what_has_no_letters_is_left_out(tmp_path):
    fonts = tmp_path / "fonts"
    fonts.mkdir()
    shipped = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    for name in ("DejaVuSansMono.ttf", "STIXSizOneSymReg.ttf"):  # the latter: brackets and other signs alone
        (fonts / name).write_bytes((shipped / name).read_bytes())
    (fonts / "broken.otf").write_bytes(b"no font")
    assert find_fonts(fonts) == [fonts / "DejaVuSansMono.ttf"]
    assert main(["render", "--count", "6", "--fonts", str(fonts), "-o", str(tmp_path / "out")]) == 0
    written = [np.asarray(Image.open(file)) for file in sorted((tmp_path / "out").iterdir())]
    assert any(not np.array_equal(picture, render(seed)) for seed, picture in enumerate(written))


def test_user_errors(tmp_path, capsys):
    assert main(["render", "--count", "0", "-o", str(tmp_path / "a")]) == 2
    assert "--count must be at least 1, got 0" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert main(["render", "--count", "1", "-o", str(tmp_path / "file")]) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert main(["render", "--count", "1", "--seed", "-1", "-o", str(tmp_path / "a")]) == 2
    assert "--seed must be 0 or more, got -1" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()
    assert main(["render", "--count", "1", "--fonts", str(tmp_path), "-o", str(tmp_path / "a")]) == 2
    assert "has no font with Latin letters: a folder with .ttf or .otf files is needed" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()
