import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch.utils.data import DataLoader

from sr.__main__ import main
from sr.errors import SRError
from sr.images import read_rgb_array
from sr.pack import Pack, is_pack
from sr.packing import write_pack

ROOT = Path(__file__).parents[1]


def save_noise(path, width, height, mode="RGB"):
    values = np.random.default_rng(width * height).integers(0, 256, (height, width, len(mode)), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.squeeze()).save(path)


def content(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """`photos`, 40 images in two folders, and their `pack` of three shards."""
    folder = tmp_path_factory.mktemp("originals")
    for i in range(40):
        save_noise(folder / "photos" / ("deep" if i % 2 else "") / f"{i:02}.png", 40 + i, 60 - i)
    write_pack([folder / "photos"], folder / "pack", workers=1)
    return folder


@pytest.fixture
def photos(originals, tmp_path):
    return shutil.copytree(originals / "photos", tmp_path / "photos")


@pytest.fixture
def pack(originals, tmp_path):
    return shutil.copytree(originals / "pack", tmp_path / "pack")


@pytest.fixture
def stuck(photos, tmp_path):
    """A process that packs `photos` and will not get beyond the first of three shards; its parent and its pack."""
    os.mkfifo(photos / "deep" / "20.jpg")  # whoever opens it to read waits for a writer
    command = [sys.executable, "-m", "sr", "pack", str(photos), "-o", str(tmp_path / "pack"), "--workers", "1"]
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "preexec_fn": heed_ctrl_c}
    with subprocess.Popen(command, cwd=ROOT, **how) as process:
        try:
            deadline = time.monotonic() + 60
            while not list((tmp_path / "pack").glob(".shard-0001.*")):
                assert process.poll() is None, process.stdout.read()
                assert time.monotonic() < deadline
                time.sleep(0.01)
            yield process, tmp_path / "pack"
        finally:
            process.kill()


def heed_ctrl_c() -> None:
    """A test run that a shell has started in the background ignores Ctrl-C, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def make_ordinary(pipe):
    """Puts a file in the pipe's place: unusable, but to packing the same as before, since size and time are."""
    time_ns = pipe.stat().st_mtime_ns
    pipe.unlink()
    pipe.touch()
    os.utime(pipe, ns=(time_ns, time_ns))


def test_a_pack_holds_what_the_files_hold(photos, tmp_path, capsys):
    save_noise(photos / "grey.jpg", 50, 45, "L")
    save_noise(tmp_path / "more" / "alpha.webp", 64, 48, "RGBA")
    (photos / "text.jpg").write_text("not an image")
    (photos / "cut.png").write_bytes((photos / "00.png").read_bytes()[:2000])
    (photos / "gone.png").symlink_to("nowhere")
    (photos / "notes.txt").write_text("other files are no business of ours")
    out = tmp_path / "packs" / "all"
    assert main(["pack", str(photos), str(tmp_path / "more"), "-o", str(out), "--workers", "2"]) == 0
    printed = capsys.readouterr().out
    for name in ("text.jpg", "cut.png", "gone.png"):
        assert len([line for line in printed.splitlines() if name in line]) == 1, name
    assert "42 images, 0 Mpixel, 0.00 GB, 3 files skipped" in printed

    files = sorted([*photos.glob("**/[0-9]*.png"), photos / "grey.jpg", tmp_path / "more" / "alpha.webp"])
    expected = [image for image in map(read_rgb_array, files) if min(image.shape[:2]) >= 30]
    images = Pack(out, min_side=30)
    assert len(images) == len(expected) == 33
    for image, original in zip(images, expected, strict=True):
        assert np.array_equal(image, original)
        assert image.dtype == np.uint8
        assert not image.flags.writeable
    assert images.sizes.dtype == np.int64
    assert images.sizes.tolist() == [list(original.shape[:2]) for original in expected]
    assert images.pixels == sum(original.shape[0] * original.shape[1] for original in expected)
    assert images.counts == {"more": 1, "photos": 17, "deep": 15}
    assert len(images.skipped) == 12
    assert "photos/deep/39.png: 79x21 pixels, at least 30 a side are needed" in images.skipped
    assert "12 of 45 files skipped" in capsys.readouterr().out


def test_longer_sides_are_cropped_around_the_centre(tmp_path):
    for width, height in ((64, 20), (31, 50), (20, 20)):
        save_noise(tmp_path / "photos" / f"{width}.png", width, height)
    write_pack([tmp_path / "photos"], tmp_path / "pack", max_side=30, workers=1)
    narrow, small, wide = (read_rgb_array(tmp_path / "photos" / f"{width}.png") for width in (31, 20, 64))
    order = dict(zip(("20", "31", "64"), Pack(tmp_path / "pack", 1), strict=True))
    assert np.array_equal(order["64"], wide[:, 17:47])
    assert np.array_equal(order["31"], narrow[10:40, :30])
    assert np.array_equal(order["20"], small)
    with pytest.raises(SRError, match="no usable image .at least 32 pixels.*--max-side 30"):
        Pack(tmp_path / "pack", 32)


def test_a_killed_pack_is_refused_and_finished_by_the_same_command(stuck, photos, tmp_path, capsys):
    process, pack = stuck
    process.kill()
    process.communicate(timeout=20)  # until the worker, who holds the other end of the output, has left as well
    assert is_pack(pack)
    with pytest.raises(SRError, match="not finished; run .* again"):
        Pack(pack, 1)
    make_ordinary(photos / "deep" / "20.jpg")
    kept = (pack / "shard-0000.bin").stat().st_mtime_ns
    assert main(["pack", str(photos), "-o", str(pack), "--workers", "1"]) == 0
    assert "going on" in capsys.readouterr().out
    assert (pack / "shard-0000.bin").stat().st_mtime_ns == kept
    write_pack([photos], tmp_path / "uninterrupted", workers=2)
    assert content(pack) == content(tmp_path / "uninterrupted")


def test_after_a_change_an_interrupted_pack_starts_anew(stuck, photos, tmp_path, capsys):
    process, pack = stuck
    process.kill()
    process.communicate(timeout=20)
    shutil.rmtree(photos / "deep")  # fewer files, fewer shards
    save_noise(photos / "00.png", 33, 44)
    write_pack([photos], pack, workers=1)
    assert "starting anew" in capsys.readouterr().out
    write_pack([photos], tmp_path / "fresh", workers=1)
    assert content(pack) == content(tmp_path / "fresh")


def test_ctrl_c_stops_and_says_how_to_go_on(stuck, photos):
    process, pack = stuck
    process.send_signal(signal.SIGINT)
    lines = []
    while not lines or "the same command goes on" not in lines[-1]:
        lines.append(process.stdout.readline())
        assert lines[-1], lines
    let_through(photos / "deep" / "20.jpg", process)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert not list(pack.glob("*shard-0002*"))
    with pytest.raises(SRError, match="not finished"):
        Pack(pack, 1)


def let_through(pipe: Path, process: subprocess.Popen) -> None:
    """Writers that come and go: a worker that waits at the pipe reads to the end and goes on, to notice the stop."""
    deadline = time.monotonic() + 20
    while process.poll() is None:
        assert time.monotonic() < deadline
        with suppress(OSError):  # nobody reads it yet, or no longer
            os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
        time.sleep(0.01)


def cut(file):
    os.truncate(file, file.stat().st_size - 1)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("shard-0001.bin", cut),
        ("shard-0001.bin", Path.unlink),
        ("shard-0002.json", cut),
        ("shard-0002.json", Path.unlink),
        ("shard-0002.json", lambda file: file.write_text("{}")),
        ("shard-0000.json", lambda file: shutil.copy(file.with_name("shard-0001.json"), file)),
    ],
)
def test_a_damaged_shard_is_named(pack, name, damage):
    damage(pack / name)
    with pytest.raises(SRError, match=f"{name.partition('.')[0]}.*(missing|damaged).*run .* again"):
        Pack(pack, 1)


def test_the_same_command_writes_damaged_shards_again(pack, photos):
    whole = content(pack)
    cut(pack / "shard-0001.bin")
    cut(pack / "shard-0002.json")
    write_pack([photos], pack, workers=1)
    assert content(pack) == whole


@pytest.mark.parametrize(
    ("old", "new", "message"), [("{", "", "is damaged"), ('"version": 1', '"version": 2', "version 2 .* reads 1")]
)
def test_an_unreadable_or_unknown_pack_is_refused(pack, old, new, message):
    index = pack / "pack.json"
    index.write_text(index.read_text().replace(old, new))
    with pytest.raises(SRError, match=f"pack.json .*{message}.*; delete .*pack and pack"):
        Pack(pack, 1)


def test_a_finished_pack_stays_as_it_is(pack, photos, capsys):
    before = {file: file.stat().st_mtime_ns for file in pack.iterdir()}
    assert main(["pack", str(photos), "-o", str(pack)]) == 0
    assert "finished already" in capsys.readouterr().out
    assert main(["pack", str(photos), "-o", str(pack), "--max-side", "20"]) == 2
    assert "other files or settings; choose another -o or delete it" in capsys.readouterr().err
    assert {file: file.stat().st_mtime_ns for file in pack.iterdir()} == before


def test_user_errors(photos, tmp_path):
    cases = [
        ([photos], photos, {}, "photos exists and is no pack; choose another -o"),
        ([photos], photos / "00.png", {}, "00.png exists and is no pack"),
        ([tmp_path / "absent"], tmp_path / "new", {}, "no such folder: .*absent"),
        ([photos], tmp_path / "new", {"max_side": 0}, "--max-side must be at least 1, got 0"),
        ([photos], tmp_path / "new", {"workers": -1}, "--workers must be at least 1, got -1"),
    ]
    (tmp_path / "void").mkdir()
    cases.append(([tmp_path / "void"], tmp_path / "new", {}, "no image .*void"))
    for folders, out, settings, message in cases:
        with pytest.raises(SRError, match=message):
            write_pack(folders, out, **settings)
    assert not (tmp_path / "new").exists()
    (tmp_path / "void" / "text.png").write_text("not an image")
    with pytest.raises(SRError, match="no usable image in .*void: all 1 files"):
        write_pack([tmp_path / "void"], tmp_path / "new", workers=1)
    assert not is_pack(photos)
    with pytest.raises(SRError, match="photos is no pack"):
        Pack(photos, 1)


def test_data_loader_workers_read_the_same_images(pack):
    images = Pack(pack, 1)
    for of_workers in (images, pickle.loads(pickle.dumps(images))):  # noqa: S301 - what "spawn" does
        loader = DataLoader(of_workers, None, num_workers=2, collate_fn=np.copy, multiprocessing_context="fork")
        for image, expected in zip(loader, images, strict=True):
            assert np.array_equal(image, expected)
    assert len(pickle.dumps(images)) < images.pixels  # no pixels go along


def test_workers_of_the_command_do_without_torch():
    """Each imports the program's main module; torch would cost it seconds and hundreds of megabytes."""
    check = "import sys, sr.__main__, sr.packing; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], cwd=ROOT, check=True)
