"""The demo without a browser: what it computes, what it refuses, how it stops, and what it says."""

import asyncio
import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import sr
from demo import about, page
from demo.app import build_app
from demo.gallery import FOLDER, load_examples
from demo.jobs import Jobs, JobStoppedError
from demo.work import MAX_COMPARE_PIXELS, MAX_UPSCALE_PIXELS, MORE, RUNTIMES, Wishes, compare, upscale
from sr.errors import ImageError
from sr.metrics import psnr, ssim
from sr.protocols import PROTOCOLS
from sr.resize import imresize


def ignore(share: float, doing: str) -> None:
    """A report that nobody reads."""


def picture(path: Path, width: int = 12, height: int = 8, mode: str = "RGB", **options) -> Path:
    seed = np.random.default_rng(0)
    Image.fromarray(seed.integers(0, 256, (height, width, 3), np.uint8)).convert(mode).save(path, **options)
    return path


def reduce(image: np.ndarray) -> np.ndarray:
    planes = torch.from_numpy(image if image.ndim == 3 else image[..., None]).permute(2, 0, 1)[None]
    lr = imresize(planes, 0.25)[0].permute(1, 2, 0).numpy()
    return lr if image.ndim == 3 else lr[..., 0]


def test_upscale_writes_what_the_library_computes(tmp_path):
    source = picture(tmp_path / "photo.png")
    reports = []
    outcome = upscale(source, tmp_path, lambda share, doing: reports.append((share, doing)))
    assert outcome.lr_size == (12, 8)
    assert [result.method for result in outcome.results] == ["nearest", "bicubic", "srresnet", "srgan"]
    for result in outcome.results:
        assert result.path.suffix == ".png"
        assert result.seconds > 0
        expected = sr.load(result.method).upscale(Image.open(source))
        np.testing.assert_array_equal(np.array(Image.open(result.path)), np.array(expected))
    shares = [share for share, _ in reports]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert "SRGAN, tile 1 of 1" in [doing for _, doing in reports]


def test_compare_crops_reduces_restores_and_measures(tmp_path):
    source = picture(tmp_path / "photo.png", 31, 26)
    outcome = compare(source, tmp_path, ignore)
    hr = np.array(Image.open(source))[:24, :28]
    assert outcome.lr_size == (7, 6)
    results = {result.method: result for result in outcome.results}
    np.testing.assert_array_equal(np.array(Image.open(results["original"].path)), hr)
    np.testing.assert_array_equal(
        np.array(Image.open(results["bicubic"].path)), sr.load("bicubic").upscale(reduce(np.ascontiguousarray(hr)))
    )
    restored = np.array(Image.open(results["srresnet"].path))
    for protocol in PROTOCOLS:
        assert results["srresnet"].psnr[protocol] == psnr(restored, hr, protocol)
        assert results["srresnet"].ssim[protocol] == ssim(restored, hr, protocol)


def test_more_methods_on_request_in_the_papers_order(tmp_path):
    source = picture(tmp_path / "photo.png", 24, 24)
    outcome = compare(source, tmp_path, ignore, Wishes(("espcn", "srcnn", "unheard-of")))
    named = [(result.method, result.label) for result in outcome.results]
    expected = [("nearest", "Nearest neighbour"), ("bicubic", "Bicubic"), ("srcnn", "SRCNN"), ("espcn", "ESPCN")]
    assert named == [*expected, ("srresnet", "SRResNet"), ("srgan", "SRGAN"), ("original", "Original")]
    assert page.sides(outcome) == [(label, method) for method, label in named]
    assert "drcn" not in MORE  # it comes without weights


def test_exact_pictures_are_those_of_the_tables_and_said_to_be(tmp_path):
    source = picture(tmp_path / "photo.png")
    results = {result.method: result for result in upscale(source, tmp_path, ignore, Wishes(exact=True)).results}
    expected = sr.load("srgan", runtime="torch", precision="fp32").upscale(Image.open(source))
    np.testing.assert_array_equal(np.array(Image.open(results["srgan"].path)), np.array(expected))
    assert results["srgan"].how == "torch in fp32"
    assert results["bicubic"].how == ""
    said = page.summary(upscale(source, tmp_path, ignore, Wishes(("espcn",), exact=True)))
    assert "Computed by torch in fp32: ESPCN, SRResNet, SRGAN." in said
    usual = sr.load("srgan")
    usual.upscale(Image.open(source))
    (srgan,) = (result for result in upscale(source, tmp_path, ignore).results if result.method == "srgan")
    assert srgan.how == f"{RUNTIMES[usual.runtime]} in {usual.precision}"


@pytest.mark.parametrize(("mode", "suffix"), [("CMYK", "jpg"), ("L", "png"), ("P", "gif"), ("RGBA", "png")])
def test_unusual_pictures_are_enlarged(tmp_path, mode, suffix):
    outcome = upscale(picture(tmp_path / f"photo.{suffix}", mode=mode), tmp_path, ignore)
    for result in outcome.results:
        with Image.open(result.path) as enlarged:
            assert enlarged.size == (48, 32)
            assert enlarged.mode == {"CMYK": "RGB", "P": "RGB"}.get(mode, mode)


def test_a_single_pixel_is_enlarged_but_cannot_be_compared(tmp_path):
    source = picture(tmp_path / "dot.png", 1, 1)
    assert {Image.open(result.path).size for result in upscale(source, tmp_path, ignore).results} == {(4, 4)}
    with pytest.raises(ImageError, match=r"dot\.png has 1 x 1 pixels, but Compare needs at least 20 x 20"):
        compare(source, tmp_path, ignore)


def unusable(folder: Path) -> dict[str, Path]:
    whole = picture(folder / "whole.png", 40, 40).read_bytes()
    (folder / "text.png").write_text("not a picture")
    (folder / "empty.png").write_bytes(b"")
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    frames = [Image.new("RGB", (24, 24), colour) for colour in ("red", "blue")]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:])
    Image.new("1", (20000, 20000)).save(folder / "bomb.png")
    Image.new("L", (2001, 2000)).save(folder / "large.png")
    return {name: folder / name for name in ("text.png", "empty.png", "cut.png", "moving.gif", "bomb.png", "large.png")}


@pytest.mark.parametrize("work", [upscale, compare])
def test_bad_input_is_refused_by_name_without_the_servers_folder(tmp_path, work):
    assert MAX_UPSCALE_PIXELS < MAX_COMPARE_PIXELS < 2001 * 2000
    for name, path in unusable(tmp_path).items():
        with pytest.raises(ImageError) as refusal:
            work(path, tmp_path, ignore)
        assert str(refusal.value).startswith(name)
        assert str(tmp_path) not in str(refusal.value)
        assert "\n" not in str(refusal.value)


def test_a_report_that_raises_ends_the_work(tmp_path):
    calls = []

    def stop(share: float, doing: str) -> None:
        calls.append(doing)
        if "tile" in doing:
            raise JobStoppedError

    with pytest.raises(JobStoppedError):
        upscale(picture(tmp_path / "photo.png"), tmp_path, stop)
    assert len(calls) == 2  # the first method and its first tile


def endless(started: threading.Event, ended: threading.Event):
    def work(check):
        try:
            while True:
                started.set()
                check()
                time.sleep(0.01)
        finally:
            ended.set()

    return work


def test_a_cancelled_job_has_stopped_computing_when_its_coroutine_ends():
    started, ended = threading.Event(), threading.Event()

    async def scenario():
        job = asyncio.create_task(Jobs().run("session", endless(started, ended)))
        await asyncio.to_thread(started.wait, 10)
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        assert ended.is_set()

    asyncio.run(scenario())


def test_stop_ends_the_job_of_one_session_only():
    async def scenario():
        jobs = Jobs()
        events = {name: (threading.Event(), threading.Event()) for name in ("mine", "yours")}
        tasks = {name: asyncio.create_task(jobs.run(name, endless(*events[name]))) for name in events}
        for started, _ in events.values():
            await asyncio.to_thread(started.wait, 10)
        jobs.stop("nobody")
        jobs.stop("mine")
        with pytest.raises(JobStoppedError):
            await tasks["mine"]
        assert not events["yours"][1].is_set()
        jobs.stop("yours")
        with pytest.raises(JobStoppedError):
            await tasks["yours"]

    asyncio.run(scenario())


def test_names_of_uploads_are_shown_as_text(tmp_path):
    outcome = upscale(picture(tmp_path / "<img src=x onerror=alert(1)>.png"), tmp_path, ignore)
    assert "<img" not in page.summary(outcome)
    assert "&lt;img" in page.summary(outcome)


def test_examples_are_small_exact_and_their_licences_named():
    examples = load_examples()
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    files = sorted(path.name for path in FOLDER.glob("*/*"))
    assert files == sorted(2 * [f"{example.name}.png" for example in examples])
    assert sum(path.stat().st_size for path in FOLDER.rglob("*.*")) < 2.5e6
    for example in examples:
        row = next(line for line in readme.splitlines() if line.startswith(f"| `{example.name}`"))
        for fact in (example.file, example.author, example.licence, example.source, ", ".join(map(str, example.crop))):
            assert fact in row
        assert example.licence in ("CC0", "public domain")
        hr = np.array(Image.open(example.hr))
        np.testing.assert_array_equal(np.array(Image.open(example.lr)), reduce(hr))
        assert Image.open(example.hr).size == (example.crop[2] - example.crop[0], example.crop[3] - example.crop[1])


def test_facts_about_training_come_from_the_card():
    card = {
        "architecture": {"name": "SRResNet", "num_blocks": 5, "channels": 7, "scale": 4},
        "degradation": "bicubic",
        "departures": ["L1 instead of MSE"],
        "training": [
            {"steps": 1234, "patches": 9872, "seconds": 600, "hardware": "2 cores", "loss": "1 * l1",
             "data": {"images": 1400, "megapixels": 264}},
        ],
    }  # fmt: skip
    text = about.describe_training("srgan", card)
    for fact in (
        "5 residual blocks of 7",
        "1,234 steps",
        "9,872 patches",
        "10 minutes",
        "2 cores",
        "1,400 photos",
        "L1",
    ):
        assert fact in text


def test_every_shipped_card_can_be_described():
    text = about.training()
    assert "SRResNet" in text
    assert "SRGAN" in text


def test_the_page_computes_one_job_at_a_time_and_states_its_limit():
    app = build_app()
    heavy = [fn for fn in app.fns.values() if fn.concurrency_id == "compute"]
    assert len(heavy) == 7  # the button, an upload and an example in both modes, and the example at the start
    assert {fn.concurrency_limit for fn in heavy} == {1}
    assert f"{MAX_UPSCALE_PIXELS / 1e6:g} megapixel" in json.dumps(app.config, default=str)
