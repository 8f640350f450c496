import csv
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sr.errors import SRError
from sr.resize import imresize, nearest
from sr.tracking import COLUMNS, RunLog, grid


def rows(out):
    with open(out / "log.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def steps(out):
    return [int(row["step"]) for row in rows(out)]


def tensorboard(out):
    """What TensorBoard shows: scalars as {tag: [(step, value)]}, and the steps of the pictures."""
    accumulator = EventAccumulator(str(out / "tensorboard")).Reload()
    tags = accumulator.Tags()
    scalars = {tag: [(event.step, event.value) for event in accumulator.Scalars(tag)] for tag in tags["scalars"]}
    return scalars, [event.step for tag in tags["images"] for event in accumulator.Images(tag)]


def row(step, **figures):
    return {"step": step, "patches": 16 * step, "seconds": step / 4, "lr": 1e-4, **figures}


def pictures(count=2, height=5, width=7, seed=0):
    """LR, SR and HR of different contents."""
    generator = torch.Generator().manual_seed(seed)
    shapes = [(count, 3, height, width), *[(count, 3, 4 * height, 4 * width)] * 2]
    return [torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator) for shape in shapes]


def test_the_figures_of_a_step_are_in_both_records(tmp_path):
    with RunLog(tmp_path / "new" / "run", None) as log:
        log.scalars(row(50, content=0.012345678, d_accuracy=0.75, grad_norm_g=2.0, patches_per_s=30.5))
        log.scalars(row(50, psnr_standard=28.25))
    first, second = rows(tmp_path / "new" / "run")
    assert tuple(first) == COLUMNS
    figures = {"content": "0.0123457", "d_accuracy": "0.75", "grad_norm_g": "2", "patches_per_s": "30.5"}
    facts = {"step": "50", "patches": "800", "seconds": "12.5", "lr": "0.0001"}
    assert {name: text for name, text in first.items() if text} == facts | figures
    assert {name: text for name, text in second.items() if text} == facts | {"psnr_standard": "28.25"}
    scalars, _ = tensorboard(tmp_path / "new" / "run")
    assert scalars["loss/content"] == [(50, pytest.approx(0.012345678))]
    assert scalars["gan/d_accuracy"] == [(50, 0.75)]
    assert scalars["grad_norm/g"] == [(50, 2)]
    assert scalars["speed/patches_per_s"] == [(50, 30.5)]
    assert scalars["validation/psnr_standard"] == [(50, 28.25)]
    assert "loss/pixel" not in scalars


def test_resuming_forgets_what_came_after_the_checkpoint(tmp_path):
    with RunLog(tmp_path, None) as log:
        for step in (50, 100, 150, 200):
            log.scalars(row(step, content=0.5))
            log.images(step, *pictures())
    time.sleep(1.1)  # TensorBoard reads its files in the order of the seconds in their names
    with RunLog(tmp_path, 100) as log:
        assert steps(tmp_path) == [50, 100]
        log.scalars(row(130, content=0.25))
        log.images(130, *pictures())
    assert steps(tmp_path) == [50, 100, 130]
    scalars, shown = tensorboard(tmp_path)
    assert scalars["loss/content"] == [(50, 0.5), (100, 0.5), (130, 0.25)]
    assert shown == [50, 100, 130]
    names = sorted(path.name for path in (tmp_path / "samples").iterdir())
    assert names == ["step-0000050.png", "step-0000100.png", "step-0000130.png"]


def test_a_new_run_starts_a_new_record(tmp_path):
    """As after a run that diverged before its first checkpoint."""
    with RunLog(tmp_path, None) as log:
        log.scalars(row(50, adversarial=1.0))
        log.images(50, *pictures())
    with RunLog(tmp_path, None) as log:
        log.scalars(row(20, content=1.0))
    assert steps(tmp_path) == [20]
    scalars, shown = tensorboard(tmp_path)
    assert scalars["loss/content"] == [(20, 1)]
    assert "loss/adversarial" not in scalars
    assert not shown
    assert not list((tmp_path / "samples").iterdir())


def test_a_killed_run_has_lost_no_row(tmp_path):
    program = (
        "import os, signal, sys; from pathlib import Path; from sr.tracking import RunLog\n"
        "log = RunLog(Path(sys.argv[1]), None)\n"
        "for step in (50, 100): log.scalars({'step': step, 'content': step / 100})\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    result = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=False)
    assert result.returncode == -9
    assert result.stdout + result.stderr == ""
    assert steps(tmp_path) == [50, 100]
    assert tensorboard(tmp_path)[0] == {"loss/content": [(50, 0.5), (100, 1)]}


@pytest.mark.parametrize("half", ["100", "100,1600,25,0.0001,0.01", "100" + len(COLUMNS) * ","])
def test_a_last_line_cut_short_is_dropped_on_resume(tmp_path, half):
    with RunLog(tmp_path, None) as log:
        log.scalars(row(50, content=0.5))
    with open(tmp_path / "log.csv", "a", encoding="utf-8") as file:
        file.write(half)
    with RunLog(tmp_path, 100) as log:
        log.scalars(row(150, content=0.25))
    assert [(row["step"], row["content"]) for row in rows(tmp_path)] == [("50", "0.5"), ("150", "0.25")]


@pytest.mark.parametrize("start", ["", "step,patc"])
def test_a_log_cut_short_in_its_header_starts_again(tmp_path, start):
    (tmp_path / "log.csv").write_text(start)
    with RunLog(tmp_path, 100) as log:
        log.scalars(row(150))
    assert steps(tmp_path) == [150]


@pytest.mark.parametrize("resume_step", [None, 50])
def test_a_log_with_other_columns_is_left_alone(tmp_path, resume_step):
    older = "step,patches,grad_norm\n50,800,1.5\n"
    (tmp_path / "log.csv").write_text(older)
    with pytest.raises(SRError, match="log.csv has other columns.*another --out"):
        RunLog(tmp_path, resume_step)
    assert (tmp_path / "log.csv").read_text() == older


def test_a_figure_without_a_column_is_an_error(tmp_path):
    with RunLog(tmp_path, None) as log, pytest.raises(ValueError, match="contnet"):
        log.scalars({"step": 1, "contnet": 0.5})
    assert steps(tmp_path) == []


def test_the_panels_of_a_sample_picture(tmp_path):
    """A row a picture; the panels are found by their content, white is between and around them."""
    lr, sr, hr = pictures(count=3)
    picture = grid(lr, sr, hr)
    assert (picture.dtype, picture.shape[0]) == (torch.uint8, 3)
    gap = (picture.shape[2] - 4 * 28) // 5
    assert picture.shape[1:] == (3 * 20 + 4 * gap, 4 * 28 + 5 * gap)
    rest = picture.clone()
    for i in range(3):
        for j, panel in enumerate((nearest(lr, 4), imresize(lr, 4), sr, hr)):
            top, left = gap + i * (20 + gap), gap + j * (28 + gap)
            assert picture[:, top : top + 20, left : left + 28].equal(panel[i]), (i, j)
            rest[:, top : top + 20, left : left + 28] = 255
    assert gap > 0
    assert (rest == 255).all()

    with RunLog(tmp_path, None) as log:
        log.images(1234, lr, sr, hr)
    with Image.open(tmp_path / "samples" / "step-0001234.png") as saved:
        assert np.array_equal(np.asarray(saved), picture.permute(1, 2, 0).numpy())
    accumulator = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    (shown,) = accumulator.Images("samples")
    assert (shown.step, shown.width, shown.height) == (1234, picture.shape[2], picture.shape[1])
