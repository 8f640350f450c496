"""Downloads of sets: what arrives where, what is checked and mended, and what is said when one is not to be had."""

import argparse
import errno
import io
import os

from PIL import Image

from sr.benchmark import BenchmarkSet
from sr.commands import download as command
from sr.download import download
from sr.homes import HOMES, Home
from tests.bad_server import tgz
from tests.tiny_homes import DIV2K, HURRY, JPEGS, PNGS, SOURCE, fails, tree

pytest_plugins = "tests.tiny_homes"  # server, homes, out


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
