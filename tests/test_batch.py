"""Many images: overlap, bounded memory, failures on the way, and interruptions."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

import sr.batch
from sr.__main__ import main
from sr.batch import run_jobs
from sr.errors import SRError
from sr.inference import Filter
from sr.paths import Job

WAIT = 20  # seconds; only a failure takes them


def jobs(count: int) -> list[Job]:
    return [Job(f"{i}.png", f"out/{i}.png") for i in range(count)]


def image_of(job: Job) -> Image.Image:
    return Image.new("L", (2, 3))


def test_reading_and_writing_go_on_while_one_is_computed():
    read, computing, writing = ([threading.Event() for _ in range(3)] for _ in range(3))
    overlaps = []

    def number(job):
        return int(job.source[0])

    def reading(job):
        read[number(job)].set()
        return image_of(job)

    def enlarge(job, image):
        i = number(job)
        computing[i].set()
        if i == 1:
            overlaps.append(read[2].wait(WAIT))
            overlaps.append(writing[0].wait(WAIT))
        return image

    def write(job, image):
        i = number(job)
        writing[i].set()
        if i == 0:
            overlaps.append(computing[1].wait(WAIT))

    outcomes = list(run_jobs(jobs(3), reading, enlarge, write, scale=4, workers=1))
    assert overlaps == [True, True, True]
    assert [outcome.job for outcome in outcomes] == jobs(3)


@pytest.mark.parametrize(("limit", "most"), [(10**9, 3), (200, 2), (100, 1)])
def test_memory_is_bounded(monkeypatch, limit, most):
    """Results have 2 x 3 x 16 = 96 pixels. Two may wait beside the one that is computed, if the limit allows."""
    monkeypatch.setattr(sr.batch, "MAX_WAITING_PIXELS", limit)
    lock = threading.Lock()
    counts = {"read": 0, "computed": 0, "written": 0}
    peaks = {"read ahead": 0, "results": 0}

    def count(what):
        with lock:
            counts[what] += 1
            peaks["read ahead"] = max(peaks["read ahead"], counts["read"] - counts["computed"])
            peaks["results"] = max(peaks["results"], counts["computed"] - counts["written"])

    def read(job):
        count("read")
        return image_of(job)

    def enlarge(job, image):
        count("computed")
        return image

    def write(job, image):
        time.sleep(0.01)
        count("written")

    assert len(list(run_jobs(jobs(12), read, enlarge, write, scale=4, workers=2))) == 12
    assert peaks["results"] == most
    assert peaks["read ahead"] <= 2 + 2  # waiting and being read, the one that is computed, the next


def test_a_failure_is_its_images_own():
    def read(job):
        if job.source == "0.png":
            raise SRError("0.png is damaged")
        return image_of(job)

    def enlarge(job, image):
        if job.source == "1.png":
            raise RuntimeError("out of memory\nand a long tale")
        return image

    def write(job, image):
        if job.source == "2.png":
            raise MemoryError

    errors = {
        outcome.job.source: outcome.error for outcome in run_jobs(jobs(4), read, enlarge, write, scale=4, workers=2)
    }
    assert errors == {
        "0.png": "0.png is damaged",
        "1.png": "1.png could not be enlarged: out of memory",
        "2.png": "2.png could not be enlarged: MemoryError",
        "3.png": "",
    }


def noise(path, side: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)).save(path)


def test_a_failing_tile_leaves_no_file_and_stops_no_other(tmp_path, monkeypatch, capsys):
    for name, side in (("a", 8), ("b", 600), ("c", 8)):
        noise(tmp_path / "in" / f"{name}.png", side)
    enlarge = Filter.__call__
    windows = []

    def fail_at_the_third(self, window):
        windows.append(window)
        if len(windows) == 3:
            raise RuntimeError("the device is gone")
        return enlarge(self, window)

    monkeypatch.setattr(Filter, "__call__", fail_at_the_third)
    assert main(["upscale", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--method", "nearest"]) == 1
    assert "b.png could not be enlarged: the device is gone" in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "c.png"]
    assert len(windows) == 1 + 2 + 1


def test_a_result_that_cannot_be_written_stops_no_other(tmp_path, capsys):
    for name in ("a", "x/b", "y/c"):
        noise(tmp_path / "in" / f"{name}.png", 8)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x").write_text("a file where a folder is needed")
    assert main(["upscale", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--method", "nearest"]) == 1
    assert f"{tmp_path / 'out' / 'x' / 'b.png'} cannot be written" in capsys.readouterr().err
    assert (tmp_path / "out" / "a.png").is_file()
    assert (tmp_path / "out" / "y" / "c.png").is_file()


def heed_ctrl_c() -> None:
    """A test run that a shell has started in the background ignores Ctrl-C, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def writing_its_second(tmp_path):
    """A process that has enlarged a.png and has begun to write b.png, and its command."""
    for name, side in (("a", 8), ("b", 1500), ("c", 8)):
        noise(tmp_path / "in" / f"{name}.png", side)
    command = ["upscale", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--method", "nearest"]
    how = {"preexec_fn": heed_ctrl_c} if os.name == "posix" else {}
    process = subprocess.Popen([sys.executable, "-m", "sr", *command], stderr=subprocess.PIPE, text=True, **how)
    try:
        deadline = time.monotonic() + 120
        while not list((tmp_path / "out").glob(".b.png.*.tmp")):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        yield process, command
    finally:
        process.kill()
        process.communicate()


def test_a_kill_leaves_no_half_file_and_the_rest_can_follow(tmp_path):
    with writing_its_second(tmp_path) as (process, command):
        process.kill()
        process.wait()
        assert "b.png" not in os.listdir(tmp_path / "out")
    assert main([*command, "--skip-existing"]) == 0
    for name, side in (("a", 8), ("b", 1500), ("c", 8)):
        with Image.open(tmp_path / "out" / f"{name}.png") as image:
            image.load()
            assert image.size == (4 * side, 4 * side)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no signal like Ctrl-C to send to one process")
def test_ctrl_c_ends_with_130_and_leaves_nothing_unfinished(tmp_path):
    with writing_its_second(tmp_path) as (process, _):
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
        assert process.returncode == 130
    assert "interrupted" in error
    assert "Traceback" not in error
    assert sorted(os.listdir(tmp_path / "out"))[:2] == ["a.png", "b.png"]  # what is being written is completed
    for path in (tmp_path / "out").iterdir():
        with Image.open(path) as image:
            image.load()
