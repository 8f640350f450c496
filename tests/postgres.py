"""A PostgreSQL server for tests: in a temporary folder, on loopback, gone with the tests."""

import atexit
import functools
import glob
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from secrets import token_hex

import psycopg
import pytest

START_SECONDS = 60
DATABASES = ("sqlite", "postgresql")


def new_url(kind: str, folder: Path) -> str:
    """The URL of an empty database of one of the `DATABASES`."""
    return f"sqlite:///{folder / 'study.db'}" if kind == "sqlite" else fresh_database()


def fresh_database() -> str:
    """The URL of a new, empty database; skips the test where PostgreSQL is not installed."""
    address, reason = _server()
    if address is None:
        pytest.skip(reason)
    name = f"study_{token_hex(4)}"
    with psycopg.connect(f"postgresql://{address}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"postgresql+psycopg://{address}/{name}"


@functools.cache
def _server() -> tuple[str | None, str]:
    """The running server as USER:PASSWORD@HOST:PORT; started at the first call."""
    binaries = _binaries()
    if binaries is None:
        return None, "PostgreSQL is not installed: initdb is neither on the PATH nor in /usr/lib/postgresql"
    folder = Path(tempfile.mkdtemp(prefix="study-postgres-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    password = token_hex(8)
    (folder / "password").write_text(password)
    as_user = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        as_user = {"user": "postgres"}
        for path in (folder, folder / "password"):
            shutil.chown(path, "postgres")
    data = folder / "data"
    initdb = [binaries / "initdb", "-D", data, "-U", "study", "-A", "scram-sha-256", "--pwfile", folder / "password"]
    settings = ["-E", "UTF8", "--locale", "C"]
    subprocess.run([*initdb, *settings], check=True, stdout=subprocess.DEVNULL, cwd=folder, **as_user)
    port = _free_port()
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(
            [binaries / "postgres", "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", ""],
            stdout=log,
            stderr=log,
            cwd=folder,
            **as_user,
        )
    atexit.register(_stop, process)
    address = f"study:{password}@127.0.0.1:{port}"
    _wait(address, process, folder / "log")
    return address, ""


def _binaries() -> Path | None:
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    versions = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), key=lambda path: int(path.split("/")[4]))
    return Path(versions[-1]).parent if versions else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait(address: str, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(f"postgresql://{address}/postgres").close()
            return
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"PostgreSQL did not start:\n{log.read_text()}")
            time.sleep(0.1)


def _stop(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGINT)  # "fast" shutdown
    process.wait(timeout=START_SECONDS)
