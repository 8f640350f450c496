"""One file over HTTP: resumed where it stopped, retried while the fault may pass, accepted only by what it holds."""

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import requests
import urllib3
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential
from tqdm import tqdm

from sr.errors import SRError

CHUNK = 2**18  # bytes
PASSING_STATUS = {408, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True)
class Patience:
    """attempts: that fail in a row without a new byte. Times in seconds."""

    attempts: int = 5
    wait: float = 1.0  # before the second attempt; doubled before each further one
    max_wait: float = 60.0  # a server that asks for more (Retry-After) is left alone
    connect: float = 15.0
    read: float = 60.0  # without a byte


PATIENCE = Patience()


class TransferError(SRError):
    """Why a file did not come; the message names the address."""


class _PassingError(Exception):
    """A fault that another attempt may not meet. wait: seconds the server asks for."""

    def __init__(self, reason: str, wait: float = 0.0):
        super().__init__(reason)
        self.wait = wait


def fetch(
    address: str,
    target: Path,
    accept: Callable[[Path], object],
    *,
    max_bytes: int,
    size: int | None = None,
    patience: Patience = PATIENCE,
    session: requests.Session | None = None,
    progress: Callable[[int, int | None], object] = lambda done, total: None,
) -> Path:
    """Brings what lies at `address` to `target` + ".part", and returns that once `accept` has found it right.

    address: http(s), or a path on this machine, which is copied.
    accept: gets the complete .part and raises SRError when it is not what was wanted. A resumed file that is not
        accepted is fetched once more from its start, a fresh one is not.
    max_bytes: more are refused. size: of the file, in bytes, if known; another is refused before it is fetched.
    progress: called with the bytes that are there and their final number, None if unknown.

    What has arrived stays in the .part when the network fails or the user interrupts, and the next call goes on there.
    Raises TransferError, and SRError when the .part cannot be written.
    """
    part = target.with_name(target.name + ".part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        if not is_url(address):
            shutil.copyfile(address, part)
            return _accepted(address, part, accept, resumed=False)
    except OSError as error:
        raise TransferError(f"{address}: cannot be copied to {part}: {error.strerror or error}") from error
    exponential = wait_exponential(multiplier=patience.wait, max=patience.max_wait)
    retrying = Retrying(
        retry=retry_if_exception_type(_PassingError),
        stop=_StopWithoutProgress(part, patience.attempts),
        wait=lambda state: max(exponential(state), state.outcome.exception().wait),
        before_sleep=lambda state: _say(address, state),
        reraise=True,
    )
    transfer = _Transfer(session or requests.Session(), address, part, max_bytes, size, patience, progress)
    try:
        return retrying(transfer.attempt, accept)
    except _PassingError as error:
        raise TransferError(f"{address}: {error}") from error


def is_url(address: str) -> bool:
    return address.lower().startswith(("http://", "https://"))


class _Transfer:
    def __init__(
        self,
        session: requests.Session,
        address: str,
        part: Path,
        max_bytes: int,
        size: int | None,
        patience: Patience,
        progress: Callable[[int, int | None], object],
    ):
        self.session, self.address, self.part, self.patience = session, address, part, patience
        self.max_bytes, self.size, self.progress = size or max_bytes, size, progress

    def attempt(self, accept: Callable[[Path], object]) -> Path:
        start = _bytes_in(self.part)
        if start == 0 or start != self.size:
            try:
                self._receive(start)
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                raise self._fault(error) from error
            except OSError as error:
                raise SRError(f"{self.part} cannot be written: {error.strerror or error}") from error
        return _accepted(self.address, self.part, accept, resumed=start > 0)

    def _receive(self, start: int) -> None:
        # Compressed on the way, a file could not be resumed, and servers that call a .tgz "encoded" would unpack it.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
        timeout = (self.patience.connect, self.patience.read)
        with self.session.get(self.address, headers=headers, stream=True, timeout=timeout) as response:
            if response.status_code == 416 and start:  # nothing lies behind what is here
                return
            self._refuse(response)
            start = start if response.status_code == 206 else 0
            total = self._total(response, start)
            with open(self.part, "ab" if start else "wb") as file:
                self.progress(start, total)
                # Other ways to read wait for a full chunk, and lose what has come of it when the server stalls.
                for chunk in iter(lambda: response.raw.read1(CHUNK, decode_content=False), b""):
                    if file.tell() + len(chunk) > self.max_bytes:
                        break
                    file.write(chunk)
                    self.progress(file.tell(), total)
                else:
                    file.flush()
                    os.fsync(file.fileno())
                    if total is not None and file.tell() < total:
                        raise _PassingError(f"the connection ended after {file.tell()} of {total} bytes")
                    return
        self.part.unlink()
        raise TransferError(f"{self.address}: more than {self.max_bytes} bytes came, which cannot be right")

    def _refuse(self, response: requests.Response) -> None:
        status = f"{response.status_code} {response.reason}".strip()
        if response.status_code in PASSING_STATUS:
            asked = response.headers.get("Retry-After", "")
            wait = float(asked) if asked.isdecimal() else 0.0
            if wait > self.patience.max_wait:
                raise TransferError(f"{self.address}: the server answers {status} and asks to wait {wait:.0f} s")
            raise _PassingError(f"the server answers {status}", wait)
        if response.status_code not in (200, 206):
            raise TransferError(f"{self.address}: the server answers {status}")
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise TransferError(f"{self.address}: the server sends a web page in place of the file")

    def _total(self, response: requests.Response, start: int) -> int | None:
        """Bytes of the whole file, by the response's headers (RFC 9110, sections 8.6 and 14.4)."""
        length = response.headers.get("Content-Length", "")
        total = start + int(length) if length.isdecimal() else None
        if response.status_code == 206:
            span, _, whole = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
            if span.partition("-")[0] != str(start):
                self.part.unlink(missing_ok=True)
                raise _PassingError(f"the server goes on at bytes {span or 'unknown'}, not at {start}")
            total = int(whole) if whole.isdecimal() else total
        if self.size is not None and total not in (None, self.size):
            raise TransferError(f"{self.address}: the server announces {total} bytes, expected are {self.size}")
        return total

    def _fault(self, error: Exception) -> Exception:
        text = str(error)
        if isinstance(error, requests.exceptions.SSLError):
            return TransferError(f"{self.address}: its certificate is not accepted: {text}")
        if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.TooManyRedirects):
            return TransferError(f"{self.address}: {text}")
        if isinstance(error, requests.exceptions.ConnectTimeout):
            return _PassingError(f"no connection within {self.patience.connect:g} s")
        if isinstance(error, requests.exceptions.Timeout | urllib3.exceptions.TimeoutError) or "timed out" in text:
            return _PassingError(f"no data for {self.patience.read:g} s")
        if "resolve" in text:
            return _PassingError("the server's name cannot be resolved (is this machine online?)")
        if isinstance(error, requests.exceptions.ConnectionError):
            return _PassingError("no connection to the server")
        return _PassingError("the connection broke")


class _StopWithoutProgress:
    def __init__(self, part: Path, attempts: int):
        self.part, self.attempts, self.best, self.idle = part, attempts, _bytes_in(part), 0

    def __call__(self, state: RetryCallState) -> bool:
        here = _bytes_in(self.part)
        self.idle = 0 if here > self.best else self.idle + 1
        self.best = max(self.best, here)
        return self.idle >= self.attempts


def _accepted(address: str, part: Path, accept: Callable[[Path], object], resumed: bool) -> Path:
    try:
        accept(part)
    except SRError as error:
        part.unlink(missing_ok=True)
        if resumed:
            raise _PassingError(f"what was resumed does not fit together ({error})") from error
        raise TransferError(f"{address}: what came is not right: {error}") from error
    return part


def _bytes_in(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _say(address: str, state: RetryCallState) -> None:
    tqdm.write(
        f"{address}: {state.outcome.exception()}; trying again in {state.next_action.sleep:.0f} s", file=sys.stderr
    )
