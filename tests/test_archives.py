"""Archives: only what is wanted leaves them, and nothing bad."""

import gzip
import os

import pytest

from sr.archives import extract
from sr.errors import SRError
from tests.bad_server import HTML, tgz, zipped


@pytest.mark.parametrize("pack", [tgz, zipped])
def test_only_wanted_members_leave_an_archive(tmp_path, pack):
    outside = {"../evil": b"1", "/tmp/evil": b"2", "a/../../evil": b"3", "a/unwanted": b"4", "C:\\evil": b"5"}
    archive = tmp_path / "archive"
    archive.write_bytes(pack(outside | {"a/one": b"right"}))
    (tmp_path / "in").mkdir()
    extract(archive, {"a/one": tmp_path / "in" / "one"}, max_file_bytes=10, max_bytes=10**6)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [archive, tmp_path / "in" / "one"]
    assert (tmp_path / "in" / "one").read_bytes() == b"right"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (tgz({"a": "/etc/passwd"}), "holds 0 of the 1 files"),
        (tgz({"b": b"1"}), "holds 0 of the 1 files"),
        (zipped({"b": b"1"}), "holds 0 of the 1 files"),
        (tgz({"a": bytes(2000)}), "has 2000 bytes, expected are at most 1000"),
        (zipped({"a": bytes(2000)}), "has 2000 bytes, expected are at most 1000"),
        (tgz({"huge": bytes(10**6), "a": b"1"}), "unpacks to more than 100000 bytes"),
        (zipped({"a": bytes(10**6)}), "unpacks to more than 100000 bytes"),
        (tgz({"a": b"1"}, headers={"comment": "x" * 10**6}), "unpacks to more than 100000 bytes"),
        (gzip.compress(bytes(10**6)), "holds 0 of the 1 files"),
        (tgz({"b": os.urandom(900), "a": os.urandom(900)})[:1200], "damaged"),
        (zipped({"a": b"1" * 100}).replace(b"1" * 50, b"2" * 50), "damaged"),
        (HTML, "damaged or is none"),
        (b"", "damaged or is none"),
    ],
    # Of contents that differ from run to run no names are made.
    ids=[
        "link",
        "lacking",
        "lacking-zip",
        "large",
        "large-zip",
        "huge",
        "bomb-zip",
        "headers",
        "no-tar",
        "cut",
        "flipped",
        "html",
        "empty",
    ],
)
def test_archives_that_are_refused(tmp_path, content, reason):
    (tmp_path / "archive").write_bytes(content)
    with pytest.raises(SRError, match=reason):
        extract(tmp_path / "archive", {"a": tmp_path / "a"}, max_file_bytes=1000, max_bytes=100_000)
