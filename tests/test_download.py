"""Downloads from a server on this machine that serves tiny sets, and that fails in the ways servers and networks do."""

import argparse
import errno
import io
import os
import subprocess
import sys
import threading
import time
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sr.benchmark import BenchmarkSet
from sr.commands import download as command
from sr.download import download
from sr.errors import SRError
from sr.homes import HOMES, Archive, Home, pixel_checksum
from sr.transfer import Patience, TransferError, fetch
from tests.bad_server import HTML, Server, picture, tgz, zipped

ROOT = Path(__file__).parents[1]
HURRY = Patience(attempts=3, wait=0.01, max_wait=0.5, connect=2, read=0.3)


@pytest.fixture
def server():
    server = Server()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()


JPEGS = {f"{i}.jpg": picture(i, 48, 32, "JPEG") for i in (8049, 100075, 2092)}
PNGS = {f"{i:04}.png": picture(i, 40, 24) for i in (1, 2, 3)}
BSDS = tgz(
    {"BSDS300/iids_train.txt": b"8049"}
    | {f"BSDS300/images/test/{name}": content for name, content in JPEGS.items()}
    | {f"BSDS300/images/train/{name}": content for name, content in JPEGS.items()}
)
DIV2K = zipped({f"DIV2K_train_HR/{name}": content for name, content in PNGS.items()})


@pytest.fixture
def homes(server, monkeypatch, tmp_path):
    """`HOMES` of the same form as the real ones, but tiny and on `server`."""
    images = {f"HR/img_00{i}.png": picture(i, 48, 32) for i in (1, 2, 3)}
    images |= {f"LRx4/img_00{i}.png": picture(10 + i, 12, 8) for i in (1, 2, 3)}
    checksums = {}
    for name, content in images.items():
        (tmp_path / "image").write_bytes(content)
        checksums[name] = pixel_checksum(tmp_path / "image")
    (tmp_path / "image").unlink()
    sources = {name: HOMES["set5"].sources[name] for name in images}
    server.files |= {sources[name]: content for name, content in images.items()}
    server.files |= {"BSDS300-images.tgz": BSDS, "DIV2K_train_HR.zip": DIV2K}
    jpegs = {name: sha256(content).hexdigest()[:16] for name, content in JPEGS.items()}
    bsds = Archive("BSDS300-images.tgz", "BSDS300/images/train", sha256(BSDS).hexdigest())
    div2k = Archive("DIV2K_train_HR.zip", "DIV2K_train_HR", sha256(DIV2K).hexdigest(), size=len(DIV2K))
    at, page = (server.address,), "https://example.org/about"
    tiny = {
        "set5": Home("benchmark/Set5", checksums, at, page, sources=sources, pixels=True),
        "bsds300-train": Home("train/bsds300_train", jpegs, at, page, archive=bsds),
        "div2k": Home("train/div2k", dict.fromkeys(PNGS, ""), at, page, archive=div2k),
    }
    for name, home in tiny.items():
        monkeypatch.setitem(HOMES, name, home)
    return tiny


@pytest.fixture
def out(tmp_path):
    return tmp_path / "data"


SOURCE = HOMES["set5"].sources["HR/img_002.png"]


def tree(folder):
    return {str(path.relative_to(folder).as_posix()) for path in folder.rglob("*") if path.is_file()}


def fails(names, out, **options):
    """The sentence the user gets."""
    with pytest.raises(SRError) as error:
        download(names, out, patience=HURRY, **options)
    return str(error.value)


def test_all_kinds_of_sets_arrive_where_the_project_reads_them(server, homes, out, capsys):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    arguments = parser.parse_args(["set5", "bsds300-train", "div2k", "set5", "-o", str(out)])
    assert command.run(arguments) == 0
    assert tree(out) == (
        {f"benchmark/Set5/{name}" for name in homes["set5"].files}
        | {f"train/bsds300_train/{name}" for name in JPEGS}
        | {f"train/div2k/{name}" for name in PNGS}
    )
    assert [image.name for image in BenchmarkSet(out / "benchmark", "Set5")] == ["img_001", "img_002", "img_003"]
    assert (out / "benchmark/Set5/HR/img_002.png").read_bytes() == server.files[SOURCE]
    assert (out / "train/bsds300_train/2092.jpg").read_bytes() == JPEGS["2092.jpg"]
    assert (out / "train/div2k/0003.png").read_bytes() == PNGS["0003.png"]
    assert not (out / "downloads").exists()
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"use with: --benchmark {out / 'benchmark'} --data {out / 'train'}"
    assert len(server.requests) == 8


@pytest.mark.parametrize("fault", [500, 503, 429, "hangs up", "stalls", "announces too much"])
def test_passing_fault_of_one_file_is_overcome(server, homes, out, fault):
    server.faults[SOURCE] = [fault]
    download(["set5"], out, patience=HURRY)
    assert (out / "benchmark/Set5/HR/img_002.png").read_bytes() == server.files[SOURCE]
    assert server.paths().count(SOURCE) == 2
    assert len(server.requests) == 7


@pytest.mark.parametrize("fault", ["hangs up", "stalls"])
def test_archive_goes_on_where_it_broke_off(server, homes, out, fault):
    server.faults["BSDS300-images.tgz"] = [fault, fault]
    download(["bsds300-train"], out, patience=HURRY)
    half = len(BSDS) // 2
    three_quarters = half + (len(BSDS) - half) // 2
    assert [asked for _, asked in server.requests] == [None, f"bytes={half}-", f"bytes={three_quarters}-"]
    assert (out / "train/bsds300_train/2092.jpg").read_bytes() == JPEGS["2092.jpg"]


def test_many_breaks_are_survived_while_bytes_arrive(server, homes, out):
    server.faults["DIV2K_train_HR.zip"] = ["hangs up"] * (HURRY.attempts + 2)
    download(["div2k"], out, patience=HURRY)
    assert tree(out) == {f"train/div2k/{name}" for name in PNGS}


def test_killed_download_is_resumed(server, tmp_path):
    content = np.random.default_rng(0).bytes(2_000_000)
    server.files["file"], server.faults["file"] = content, ["stalls"]
    address, target, part = f"{server.address}/file", tmp_path / "file", tmp_path / "file.part"
    program = f"from pathlib import Path; from sr.transfer import fetch; fetch({address!r}, Path({str(target)!r}), "
    child = subprocess.Popen([sys.executable, "-c", program + "print, max_bytes=10**7)"], cwd=ROOT)
    try:
        deadline = time.monotonic() + 60
        while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        child.kill()
        child.wait()
    kept = part.stat().st_size
    assert 0 < kept < len(content)
    fetch(address, target, print, max_bytes=10**7, patience=HURRY)
    assert server.requests == [("file", None), ("file", f"bytes={kept}-")]
    assert part.read_bytes() == content


@pytest.mark.parametrize("fault", ["ignores Range", "goes on elsewhere", None])
def test_what_an_earlier_call_left(server, homes, out, fault):
    """The server cannot resume, resumes at the wrong byte, or what is here is not the file's beginning."""
    part = out / "downloads" / "BSDS300-images.tgz.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(BSDS[:100] if fault else b"x" * 100)
    server.faults["BSDS300-images.tgz"] = [fault] if fault else []
    download(["bsds300-train"], out, patience=HURRY)
    assert server.requests[0][1] == "bytes=100-"
    assert tree(out) == {f"train/bsds300_train/{name}" for name in JPEGS}


@pytest.mark.parametrize("name", ["bsds300-train", "div2k"])
def test_complete_archive_of_an_interrupted_call_is_not_fetched_again(server, homes, out, name):
    archive = homes[name].archive.name
    (out / "downloads").mkdir(parents=True)
    (out / "downloads" / f"{archive}.part").write_bytes(server.files[archive])
    download([name], out, patience=HURRY)
    # Where the size is known, the server need not be asked; else it says that nothing is left (416).
    assert server.requests == ([] if homes[name].archive.size else [(archive, f"bytes={len(BSDS)}-")])


def test_archive_that_the_server_calls_encoded_is_kept_as_it_is(server, homes, out):
    server.faults["BSDS300-images.tgz"] = ["says it is encoded"]
    download(["bsds300-train"], out, patience=HURRY)
    assert len(tree(out)) == len(JPEGS)


def test_missing_file_is_one_sentence_and_leaves_no_folder(server, homes, out):
    del server.files[SOURCE]
    message = fails(["set5"], out)
    assert f"{server.address}/{SOURCE}: the server answers 404" in message
    assert f"get {SOURCE} and the other 5 files by other means (https://example.org/about)" in message
    assert "--home FOLDER" in message
    assert "\n" not in message
    assert server.paths().count(SOURCE) == 1
    assert not (out / "benchmark").exists()


def test_next_call_fetches_only_what_did_not_arrive(server, homes, out):
    content = server.files.pop(SOURCE)
    fails(["set5"], out)
    server.files[SOURCE] = content
    server.requests.clear()
    download(["set5"], out, patience=HURRY)
    assert server.paths()[0] == SOURCE
    assert len(server.requests) == 5  # of 6
    assert len(tree(out / "benchmark/Set5")) == 6


def test_lasting_fault_ends_after_some_attempts_and_other_addresses(server, homes, out, monkeypatch):
    monkeypatch.setitem(
        HOMES, "set5", Home(**(vars(homes["set5"]) | {"addresses": (server.address, server.address + "/other")}))
    )
    server.faults[SOURCE] = [500] * 9
    message = fails(["set5"], out)
    assert f"{server.address}/{SOURCE}: the server answers 500" in message
    assert f"{server.address}/other/{SOURCE}: the server answers 404" in message
    assert server.paths().count(SOURCE) == HURRY.attempts
    server.files[f"other/{SOURCE}"] = server.files[SOURCE]
    server.faults[SOURCE] = [404]
    download(["set5"], out, patience=HURRY)
    assert len(tree(out)) == 6


def test_no_connection_and_long_waits(server, homes, out):
    server.faults[SOURCE] = ["asks to wait"]
    assert "asks to wait 3600 s" in fails(["set5"], out)
    assert server.paths().count(SOURCE) == 1
    closed = Server()
    closed.server_close()
    assert "no connection to the server" in fails(["set5"], out, home=closed.address)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (picture(99, 48, 32), "its pixels differ"),
        (picture(2, 48, 32)[:1000], "is damaged or truncated"),
        ("announces too little", "is damaged or truncated"),
        (HTML, "is not an image"),
        ("web page", "sends a web page in place of the file"),
    ],
)
def test_wrong_content_is_refused_and_not_kept(server, homes, out, content, reason):
    server.faults[SOURCE] = [content]
    assert reason in fails(["set5"], out)
    assert server.paths().count(SOURCE) == 1
    assert tree(out) == {"downloads/set5.part/HR/img_001.png"}


def test_same_pixels_in_another_file_are_the_same_image(server, homes, out):
    with Image.open(io.BytesIO(server.files[SOURCE])) as image:
        file = io.BytesIO()
        image.save(file, "PNG", compress_level=0)
    server.files[SOURCE] = file.getvalue()
    download(["set5"], out, patience=HURRY)
    assert (out / "benchmark/Set5/HR/img_002.png").read_bytes() == file.getvalue()


def test_sets_that_are_there_are_checked_and_mended(server, homes, out, capsys):
    names = ["set5", "bsds300-train", "div2k"]
    download(names, out, patience=HURRY)
    server.requests.clear()
    capsys.readouterr()
    download(names, out, patience=HURRY)
    assert server.requests == []
    assert capsys.readouterr().out.count("is complete") == 3

    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    bad = [out / "benchmark/Set5/HR/img_002.png", out / "train/bsds300_train/2092.jpg", out / "train/div2k/0003.png"]
    contents = [path.read_bytes() for path in bad]
    for path, content in zip(bad, contents, strict=True):
        path.write_bytes(content[:200] + b"xx" + content[202:])
    (out / "benchmark/Set5/LRx4/img_003.png").unlink()
    download(names, out, patience=HURRY)
    printed = capsys.readouterr().out
    for text in ("HR/img_002.png is damaged", "LRx4/img_003.png is missing", "2092.jpg is damaged", "0003.png is dam"):
        assert text in printed
    assert server.paths() == [
        SOURCE, HOMES["set5"].sources["LRx4/img_003.png"], "BSDS300-images.tgz", "DIV2K_train_HR.zip"
    ]  # fmt: skip
    assert [path.read_bytes() for path in bad] == contents
    untouched = [path for path in before if path not in bad and path.name != "img_003.png"]
    assert [path.stat().st_mtime_ns for path in untouched] == [before[path] for path in untouched]
    assert not (out / "downloads").exists()


def test_failed_mending_leaves_the_folder_as_it_was(server, homes, out):
    download(["set5"], out, patience=HURRY)
    (out / "benchmark/Set5/HR/img_002.png").unlink()
    server.faults[SOURCE] = [404]
    fails(["set5"], out)
    assert len(tree(out / "benchmark")) == 5


def test_archive_packed_otherwise_is_right_if_its_images_are(server, homes, out):
    files = {f"BSDS300/images/train/{name}": content for name, content in JPEGS.items()}
    server.files["BSDS300-images.tgz"] = tgz(files, kind="")  # a server unpacked the gzip
    download(["bsds300-train"], out, patience=HURRY)
    assert len(tree(out)) == len(JPEGS)
    server.files["BSDS300-images.tgz"] = tgz(files | {"BSDS300/images/train/2092.jpg": JPEGS["8049.jpg"]})
    assert "2092.jpg is not the published image" in fails(["bsds300-train"], out / "other")
    assert not (out / "other/train").exists()


def test_published_archive_is_right_whatever_its_images_are(server, homes, out, monkeypatch, capsys):
    """BSDS300 and BSDS500 may hold the same pictures in different files."""
    others = Home(**(vars(homes["bsds300-train"]) | {"files": dict.fromkeys(JPEGS, "0" * 16)}))
    monkeypatch.setitem(HOMES, "bsds300-train", others)
    download(["bsds300-train"], out, patience=HURRY)
    server.requests.clear()
    download(["bsds300-train"], out, patience=HURRY)
    assert "is complete" in capsys.readouterr().out
    assert server.requests == []
    (out / "train/bsds300_train/2092.jpg").write_bytes(b"x")
    download(["bsds300-train"], out, patience=HURRY)
    assert (out / "train/bsds300_train/2092.jpg").read_bytes() == JPEGS["2092.jpg"]


def test_other_archive_without_known_images_is_refused(server, homes, out):
    server.files["DIV2K_train_HR.zip"] = DIV2K[:-30] + b"x" + DIV2K[-29:]
    assert "its SHA-256 is not the published" in fails(["div2k"], out)
    server.files["DIV2K_train_HR.zip"] += b"x"
    assert f"announces {len(DIV2K) + 1} bytes, expected are {len(DIV2K)}" in fails(["div2k"], out)
    assert tree(out) == set()


def test_folder_of_files_fetched_by_other_means(server, homes, out, tmp_path):
    for path, content in server.files.items():
        (tmp_path / "mine" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / path).write_bytes(content)
    download(["set5", "bsds300-train", "div2k"], out, home=str(tmp_path / "mine"))
    assert len(tree(out)) == 12
    assert server.requests == []
    (tmp_path / "mine" / SOURCE).unlink()
    assert "img_002_SRF_4_HR.png: cannot be copied" in fails(["set5"], out / "again", home=str(tmp_path / "mine"))
    assert "neither an http(s) address nor a folder" in fails(["set5"], out, home="ftp://example.org")


def test_mirror(server, homes, out):
    server.files = {f"mirror/data/{path}": content for path, content in server.files.items()}
    download(["set5", "div2k"], out, home=f"{server.address}/mirror/data/", patience=HURRY)
    assert len(tree(out)) == 9


def test_unusable_output_is_said_before_anything_is_fetched(server, homes, out):
    out.mkdir()
    (out / "benchmark").write_bytes(b"")
    assert f"{out / 'benchmark'} is no folder" in fails(["set5"], out)
    assert f"{out / 'benchmark'} is no folder" in fails(["set5"], out / "benchmark")
    assert "there is no set urban100" in fails(["set5", "urban100"], out)
    assert server.requests == []


def test_full_disk_is_one_sentence(server, homes, out, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    message = fails(["set5"], out)
    assert "img_001.png.part cannot be written: No space left on device" in message
    assert len(server.requests) == 1


def test_endless_file_is_cut_off(server, tmp_path):
    server.files["file"] = b"x" * 10_000
    with pytest.raises(TransferError, match="more than 5000 bytes"):
        fetch(f"{server.address}/file", tmp_path / "file", print, max_bytes=5000, patience=HURRY)
    assert tree(tmp_path) == set()
