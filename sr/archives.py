"""Chosen files out of .zip and .tar(.gz) archives that came over the network."""

import gzip
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import IO

from sr.errors import SRError

_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError)
_DAMAGE += (RuntimeError, NotImplementedError)  # zipfile: an encrypted member, an unknown compression


def extract(archive: Path, wanted: Mapping[str, Path], *, max_file_bytes: int, max_bytes: int) -> None:
    """Writes members of an archive to files, whose folders must exist. Nothing else in it is looked at.

    wanted: exact name of a regular file in the archive -> where it goes. The archive's names never become paths, so
        that none can lead out of a folder, and links are left alone.
    max_file_bytes, max_bytes: of one file, and of everything that is unpacked.
    Raises SRError when the archive is damaged, is no archive, lacks a member or unpacks to more than it may.
    """
    found = 0
    members = _zip_members if zipfile.is_zipfile(archive) else _tar_members
    try:
        with closing(members(archive, wanted, max_bytes)) as contents:
            for name, size, content in contents:
                if size > max_file_bytes:
                    raise SRError(f"{name} in it has {size} bytes, expected are at most {max_file_bytes}")
                with open(wanted[name], "wb") as file:
                    shutil.copyfileobj(content, file)
                found += 1
    except _DAMAGE as error:
        raise SRError(f"the archive is damaged or is none: {error}") from error
    if found < len(wanted):
        raise SRError(f"the archive holds {found} of the {len(wanted)} files that are wanted of it")


def _zip_members(archive: Path, wanted: Mapping[str, Path], max_bytes: int) -> Iterator[tuple[str, int, IO[bytes]]]:
    with zipfile.ZipFile(archive) as file:
        members = {info.filename: info for info in file.infolist() if info.filename in wanted}
        if sum(info.file_size for info in members.values()) > max_bytes:
            raise SRError(f"the archive unpacks to more than {max_bytes} bytes")
        for name, info in members.items():
            with file.open(info) as content:  # gives no more than `file_size`, and compares the CRC
                yield name, info.file_size, content


def _tar_members(archive: Path, wanted: Mapping[str, Path], max_bytes: int) -> Iterator[tuple[str, int, IO[bytes]]]:
    with open(archive, "rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        with (
            gzip.open(file) if compressed else file as plain,
            tarfile.open(fileobj=_Bounded(plain, max_bytes), mode="r|") as tar,
        ):
            left = set(wanted)
            for member in tar:
                if member.isreg() and member.name in left:
                    left.remove(member.name)
                    yield member.name, member.size, tar.extractfile(member)
                if not left:
                    return


class _Bounded:
    """Reads of a file until `left` bytes have come out: a small archive may hold any number of them."""

    def __init__(self, file: IO[bytes], left: int):
        self.file, self.left, self.limit = file, left, left

    def read(self, size: int) -> bytes:
        data = self.file.read(min(size, self.left + 1))
        self.left -= len(data)
        if self.left < 0:
            raise SRError(f"the archive unpacks to more than {self.limit} bytes")
        return data
