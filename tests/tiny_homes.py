"""Tiny sets in the form of the real ones, for a server on this machine, and downloads that do not wait long."""

from hashlib import sha256
from pathlib import Path

import pytest

from sr.download import download
from sr.errors import SRError
from sr.homes import HOMES, Archive, Home, pixel_checksum
from sr.transfer import Patience
from tests.bad_server import Server, picture, serving, tgz, zipped

HURRY = Patience(attempts=3, wait=0.01, max_wait=0.5, connect=2, read=0.3)
JPEGS = {f"{i}.jpg": picture(i, 48, 32, "JPEG") for i in (8049, 100075, 2092)}
PNGS = {f"{i:04}.png": picture(i, 40, 24) for i in (1, 2, 3)}
BSDS = tgz(
    {"BSDS300/iids_train.txt": b"8049"}
    | {f"BSDS300/images/test/{name}": content for name, content in JPEGS.items()}
    | {f"BSDS300/images/train/{name}": content for name, content in JPEGS.items()}
)
DIV2K = zipped({f"DIV2K_train_HR/{name}": content for name, content in PNGS.items()})
SOURCE = HOMES["set5"].sources["HR/img_002.png"]


def tiny_homes(server: Server, folder: Path) -> dict[str, Home]:
    """`HOMES` of the same form as the real ones, but tiny and on `server`, which gets their files."""
    images = {f"HR/img_00{i}.png": picture(i, 48, 32) for i in (1, 2, 3)}
    images |= {f"LRx4/img_00{i}.png": picture(10 + i, 12, 8) for i in (1, 2, 3)}
    checksums = {}
    for name, content in images.items():
        (folder / "image").write_bytes(content)
        checksums[name] = pixel_checksum(folder / "image")
    (folder / "image").unlink()
    sources = {name: HOMES["set5"].sources[name] for name in images}
    server.files |= {sources[name]: content for name, content in images.items()}
    server.files |= {"BSDS300-images.tgz": BSDS, "DIV2K_train_HR.zip": DIV2K}
    jpegs = {name: sha256(content).hexdigest()[:16] for name, content in JPEGS.items()}
    bsds = Archive("BSDS300-images.tgz", "BSDS300/images/train", sha256(BSDS).hexdigest())
    div2k = Archive("DIV2K_train_HR.zip", "DIV2K_train_HR", sha256(DIV2K).hexdigest(), size=len(DIV2K))
    at, page = (server.address,), "https://example.org/about"
    return {
        "set5": Home("benchmark/Set5", checksums, at, page, sources=sources, pixels=True),
        "bsds300-train": Home("train/bsds300_train", jpegs, at, page, archive=bsds),
        "div2k": Home("train/div2k", dict.fromkeys(PNGS, ""), at, page, archive=div2k),
    }


def tree(folder):
    return {str(path.relative_to(folder).as_posix()) for path in folder.rglob("*") if path.is_file()}


def fails(names, out, **options):
    """The sentence the user gets."""
    with pytest.raises(SRError) as error:
        download(names, out, patience=HURRY, **options)
    return str(error.value)


@pytest.fixture
def server():
    with serving() as server:
        yield server


@pytest.fixture
def homes(server, monkeypatch, tmp_path):
    tiny = tiny_homes(server, tmp_path)
    for name, home in tiny.items():
        monkeypatch.setitem(HOMES, name, home)
    return tiny


@pytest.fixture
def out(tmp_path):
    return tmp_path / "data"
