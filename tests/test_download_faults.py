"""Downloads from a server on this machine that fails in the ways servers and networks do."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from sr.download import download
from sr.homes import HOMES, Home
from sr.transfer import TransferError, fetch
from tests.bad_server import HTML, Server, picture
from tests.tiny_homes import BSDS, HURRY, JPEGS, PNGS, SOURCE, fails, tree

pytest_plugins = "tests.tiny_homes"  # server, homes, out

ROOT = Path(__file__).parents[1]


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


def test_endless_file_is_cut_off(server, tmp_path):
    server.files["file"] = b"x" * 10_000
    with pytest.raises(TransferError, match="more than 5000 bytes"):
        fetch(f"{server.address}/file", tmp_path / "file", print, max_bytes=5000, patience=HURRY)
    assert tree(tmp_path) == set()
