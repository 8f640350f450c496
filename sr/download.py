"""Benchmark and training sets, brought from their public homes (`sr.homes`) into the folders the project reads."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import requests
from tqdm import tqdm

from sr.archives import extract
from sr.errors import SRError
from sr.files import write_text
from sr.homes import HOMES, MAX_IMAGE_BYTES, Archive, Home, file_checksum
from sr.transfer import PATIENCE, Patience, TransferError, fetch, is_url

MAX_NAMED = 5  # bad files in a message


def download(names: Sequence[str], output: Path, home: str | None = None, patience: Patience = PATIENCE) -> None:
    """Makes `output`/benchmark/Set5 and so on complete, for the sets `names` out of `HOMES`.

    home: takes the place of every set's public address: a mirror's, or a folder, that holds Set5/image_SRF_4/*.png and
        so on, BSDS300-images.tgz and DIV2K_train_HR.zip.
    patience: with the network.

    A set's folder appears complete and verified (`sr.homes` says how) or not at all. Until then, what has arrived lies
    in `output`/downloads, where the next call finds it. A set that is there is checked; files that are missing or
    damaged are named, and only they are replaced. Only one call may write to `output` at a time.
    Raises SRError for an unknown set or a bad `home`, when a set cannot be fetched, and when it cannot be written.
    """
    unknown = [name for name in names if name not in HOMES]
    if unknown:
        raise SRError(f"there is no set {unknown[0]}; choose of {', '.join(HOMES)}")
    if home is not None and not is_url(home) and not Path(home).is_dir():
        raise SRError(f"--home {home} is neither an http(s) address nor a folder")
    with requests.Session() as session:
        for name in dict.fromkeys(names):
            job = _Job(name, HOMES[name], output, home, patience, session)
            try:
                job.run()
            except OSError as error:
                raise SRError(f"{name}: {error.filename or output}: {error.strerror or error}") from error


class _Job:
    """One set on its way into its folder."""

    def __init__(
        self, name: str, home: Home, output: Path, address: str | None, patience: Patience, session: requests.Session
    ):
        self.name, self.home, self.patience, self.session = name, home, patience, session
        self.addresses = home.addresses if address is None else (address,)
        self.target = output / home.folder
        self.downloads = output / "downloads"
        self.staging = self.downloads / f"{name}.part"
        self.record = self.downloads / f"{name}.json"  # checksums of other files that a published archive held
        self.checksums = home.files | (json.loads(self.record.read_text()) if self.record.is_file() else {})

    def run(self) -> None:
        wanted = self._lacking()
        if not wanted:
            tqdm.write(f"{self.name}: {self.target} is complete, {len(self.checksums)} images checked: nothing to do")
            return
        for folder in {(self.staging / file).parent for file in wanted}:
            folder.mkdir(parents=True, exist_ok=True)
        if self.home.archive is None:
            self._bring_files(wanted)
        else:
            self._bring_archive(self.home.archive, wanted)
        self._install(wanted)
        tqdm.write(f"{self.name}: {len(wanted)} images in {self.target}, checked")

    def _lacking(self) -> list[str]:
        """The files that have to be fetched."""
        for folder in (self.target, *self.target.parents):
            if folder.exists() and not folder.is_dir():
                raise SRError(f"{self.name} belongs into {self.target}, but {folder} is no folder; choose another one")
        if not self.target.exists():
            return list(self.checksums)
        bad = {}
        with tqdm(self.checksums, desc=f"checking {self.name}", unit="image", leave=False) as bar:
            for file in bar:
                if not (self.target / file).is_file():
                    bad[file] = "is missing"
                elif not self._is_right(self.target / file, file):
                    bad[file] = "is damaged or another image"
        if bad:
            named = ", ".join(f"{file} {fault}" for file, fault in list(bad.items())[:MAX_NAMED])
            more = f" and {len(bad) - MAX_NAMED} more" if len(bad) > MAX_NAMED else ""
            tqdm.write(
                f"{self.name}: in {self.target} {named}{more}; fetching {len(bad)} of {len(self.checksums)} anew"
            )
        return list(bad)

    def _is_right(self, path: Path, file: str) -> bool:
        try:
            self.home.check(path, self.checksums[file])
        except SRError:
            return False
        return True

    def _bring_files(self, wanted: list[str]) -> None:
        with tqdm(wanted, desc=self.name, unit="image") as bar:
            for file in bar:
                staged = self.staging / file
                if staged.is_file() and self._is_right(staged, file):
                    continue
                checksum = self.checksums[file]
                part = self._fetch(
                    self.home.sources[file], staged, lambda part, right=checksum: self.home.check(part, right)
                )
                os.replace(part, staged)

    def _bring_archive(self, archive: Archive, wanted: list[str]) -> None:
        with tqdm(desc=archive.name, unit="B", unit_scale=True) as bar:

            def show(done: int, total: int | None) -> None:
                bar.total = total
                bar.update(done - bar.n)

            part = self._fetch(
                archive.name, self.downloads / archive.name, lambda part: self._unpack(archive, part, wanted), show
            )
        part.unlink()

    def _unpack(self, archive: Archive, part: Path, wanted: list[str]) -> None:
        """Raises SRError when neither the archive nor the images in it are the published ones."""
        published = file_checksum(part, digits=64) == archive.sha256
        if not published and not all(self.home.files.values()):
            raise SRError(f"its SHA-256 is not the published {archive.sha256}")
        tqdm.write(f"{self.name}: unpacking {len(wanted)} images of {archive.name}")
        members = {f"{archive.folder}/{file}": self.staging / file for file in wanted}
        extract(part, members, max_file_bytes=MAX_IMAGE_BYTES, max_bytes=archive.max_bytes)
        others = {}
        for file in wanted:
            if published and not self._is_right(self.staging / file, file):
                others[file] = file_checksum(self.staging / file)
            elif not published:
                self.home.check(self.staging / file, self.checksums[file])
        if others:
            self.checksums |= others
            text = json.dumps({file: self.checksums[file] for file in self.checksums}, indent=0)
            write_text(self.record, text)

    def _fetch(self, source: str, target: Path, accept, progress=lambda done, total: None) -> Path:
        archive, faults = self.home.archive, []
        for address in self.addresses:
            try:
                return fetch(
                    f"{address.rstrip('/')}/{source}",
                    target,
                    accept,
                    max_bytes=archive.max_bytes if archive else MAX_IMAGE_BYTES,
                    size=archive.size if archive else None,
                    patience=self.patience,
                    session=self.session,
                    progress=progress,
                )
            except TransferError as error:
                faults.append(str(error))
        count = f" and the other {len(self.home.files) - 1} files" if archive is None else ""
        raise SRError(
            f"{self.name} could not be fetched: {'; '.join(faults)}; type the command again to go on with what has "
            f"arrived, or get {source}{count} by other means ({self.home.page}), put them under these names into a "
            f"folder of yours and add --home FOLDER"
        )

    def _install(self, wanted: list[str]) -> None:
        self.target.parent.mkdir(parents=True, exist_ok=True)
        if not self.target.exists():
            os.replace(self.staging, self.target)
        else:
            for file in wanted:
                (self.target / file).parent.mkdir(exist_ok=True)
                os.replace(self.staging / file, self.target / file)
            shutil.rmtree(self.staging)
        if not any(self.downloads.iterdir()):
            self.downloads.rmdir()
