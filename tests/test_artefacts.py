"""`python -m sr inspect` finds the place that is spoilt and the colour that is shifted."""

import numpy as np
import pandas as pd
from PIL import Image

from sr.__main__ import main
from sr.artefacts import compare


def smooth_picture(height=160, width=200):
    rows, columns = np.mgrid[:height, :width]
    return np.stack([40 + rows / 2, 60 + columns / 2, 120 + (rows - columns) / 4], -1).astype(np.uint8)


def test_a_blob_is_found_where_it_is():
    hr = smooth_picture()
    sr = hr.copy()
    sr[100:124:2, 50:74] = 255
    found = compare("picture", sr, hr)
    assert abs(found.top - 112) <= 4
    assert abs(found.left - 62) <= 4
    assert found.contrast > 60
    assert found.hr_contrast < 6
    assert compare("picture", hr, hr).excess == 0


def test_sharpening_what_is_there_counts_less_than_inventing_it():
    generator = np.random.default_rng(0)
    hr = smooth_picture()
    texture = generator.integers(-20, 20, (60, 60, 1))
    hr[20:80, 20:80] = np.clip(hr[20:80, 20:80] + texture, 0, 255)
    sharper = hr.copy()
    sharper[20:80, 20:80] = np.clip(sharper[20:80, 20:80] + texture // 4, 0, 255)
    invented = hr.copy()
    invented[90:150, 90:150] = np.clip(invented[90:150, 90:150] + texture, 0, 255)
    assert compare("a", sharper, hr).excess < compare("b", invented, hr).excess / 2


def test_colour_shifts_of_the_whole_and_of_parts():
    hr = smooth_picture()
    warmer = hr + np.array([3, 0, 0], np.uint8)
    assert abs(compare("picture", warmer, hr).colour_shift - 3) < 1e-3
    stained = hr.astype(int)
    stained[:, :100, 2] += 4
    stained[:, 100:, 2] -= 4  # no shift on the whole
    found = compare("picture", stained.astype(np.uint8), hr)
    assert found.colour_shift < 0.01
    assert 3 < found.local_colour_shift < 4


def test_a_grid_is_told_from_a_pattern_of_another_period():
    hr = smooth_picture()
    rows, columns = np.mgrid[: hr.shape[0], : hr.shape[1]]
    for period, low, high in ((4, 3.9, 4.1), (2, 3.9, 4.1), (5, 0, 0.5)):
        pattern = np.where((rows + columns) // (period / 2) % 2 < 1, 4, -4) if period != 5 else rows % 5 * 2 - 4
        assert low <= compare("picture", (hr + pattern[..., None]).astype(np.uint8), hr).grid <= high, period
    assert compare("picture", hr, hr).grid == 0


def test_the_command_lists_the_worst_first_and_skips_what_it_cannot_use(tmp_path, capsys):
    images = tmp_path / "images"
    images.mkdir()
    Image.fromarray(smooth_picture()).save(images / "smooth.png")
    lines = smooth_picture()
    lines[:, ::3] = 0  # nothing of it survives the reduction
    Image.fromarray(lines).save(images / "lines.png")
    Image.fromarray(smooth_picture(8, 8)).save(images / "tiny.png")
    (images / "broken.png").write_bytes(b"no picture")
    table, sheet = tmp_path / "out" / "found.csv", tmp_path / "out" / "found.png"
    assert main(["inspect", str(images), "--method", "bicubic", "-o", str(table), "--sheet", str(sheet)]) == 0
    said = capsys.readouterr().out
    assert "2 images, 2 skipped" in said
    assert "tiny.png is 8x8" in said
    assert "broken.png" in said
    rows = pd.read_csv(table)
    assert list(rows["image"]) == ["smooth.png", "lines.png"]
    assert rows["excess"].is_monotonic_decreasing
    assert (rows["colour_shift"] < 1).all()
    assert Image.open(sheet).height > 2 * 128


def test_images_of_several_folders_are_told_apart(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        Image.fromarray(smooth_picture()).save(tmp_path / folder / "same.png")
    table = tmp_path / "found.csv"
    folders = [str(tmp_path / "a"), str(tmp_path / "b")]
    assert main(["inspect", *folders, "--method", "bicubic", "-o", str(table)]) == 0
    assert set(pd.read_csv(table)["image"]) == {"a/same.png", "b/same.png"}


def test_a_folder_without_images_is_refused(tmp_path, capsys):
    assert main(["inspect", str(tmp_path), "--method", "bicubic", "-o", str(tmp_path / "x.csv")]) == 2
    assert f"no image in {tmp_path}" in capsys.readouterr().err
    assert not (tmp_path / "x.csv").exists()
