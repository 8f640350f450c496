"""python -m mos_study.load: how the server holds up under many raters at once. Bounded, on this machine only.

It prepares a study of noise, serves it with `mos_study.app`, and lets raters fetch pictures and rate them, each with a
pause for thought. Every rating that the server has acknowledged must be in the database once.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

import aiohttp
import numpy as np
from PIL import Image
from tqdm import tqdm

from mos_study.config import config_from_json
from mos_study.records import CALIBRATION_DATASET, StimulusRow
from mos_study.store import Store
from mos_study.visitor import Visitor
from sr.errors import SRError
from sr.files import write_text

SIZE = (320, 240)  # of noise: 230 kB as PNG, as much as a photo of BSD100
PICTURES = 40  # different files; stimuli share them
METHODS = ("nearest", "hr")
AT_ONCE = 8  # raters that go to their first trial at the same time, before the measurement
START_SECONDS = 120

Rating = tuple[str, int, int]  # the rater's public name, the trial's position, the score


class Measurement:
    """What the raters note while they rate."""

    def __init__(self) -> None:
        self.latencies: list[float] = []  # seconds from sending a rating to holding the next picture
        self.acknowledged: list[Rating] = []
        self.errors: Counter[str] = Counter()
        self.requests = 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m mos_study.load",
        description="Measure the server under many raters, on this machine",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--raters", type=int, default=200, help="raters at once")
    parser.add_argument("--seconds", type=float, default=60, help="how long they rate")
    parser.add_argument("--think", type=float, default=1, help="seconds from a picture to its rating, on average")
    parser.add_argument("--processes", type=int, default=1, help="servers on one database; raters move between them")
    parser.add_argument("--db", metavar="URL", help="an empty database (default: a temporary SQLite file)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="add the figures to this file")
    args = parser.parse_args(arguments)
    try:
        if min(args.raters, args.seconds, args.processes) <= 0 or args.think < 0.05:
            raise SRError("--raters, --seconds and --processes must be above 0, and --think at least 0.05")
        with tempfile.TemporaryDirectory(prefix="study-load-") as folder:
            result = measure(
                args.db or f"sqlite:///{folder}/study.db",
                Path(folder) / "stimuli",
                raters=args.raters,
                seconds=args.seconds,
                think=args.think,
                processes=args.processes,
            )
    except SRError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(result, indent=2))
    if args.json:
        _add_to(args.json, f"{result['database']}-{args.processes}", result)
    return int(bool(result["errors"] or result["lost"] or result["stored_twice"]))


def measure(url: str, stimuli: Path, *, raters: int, seconds: float, think: float, processes: int) -> dict[str, Any]:
    """The figures of one run. Raises SRError for a database that holds a study, or a server that does not start."""
    with closing(Store.open(url, stimuli)) as store:
        if store.study() is not None:
            raise SRError("The database holds a study, and a load test fills it with noise: give an empty one")
        picture_bytes = make_study(store, trials=int(seconds / think * 1.5) + 10)
        tokens = [store.add_rater() for _ in range(raters)]
        names = {token: store.rater(token).public_id for token in tokens}
        with serving(url, stimuli, processes) as bases:
            measurement = asyncio.run(_rate_all(names, bases, seconds, think))
        stored = Counter((row["rater"], row["order"], row["score"]) for row in store.ratings())
    places = Counter((rater, position) for rater, position, _ in stored.elements())
    milliseconds = 1000 * np.array(measurement.latencies or [np.nan])
    p50, p95 = np.percentile(milliseconds, [50, 95])
    return {
        "database": "postgresql" if url.startswith("postgresql") else "sqlite",
        "processes": processes,
        "raters": raters,
        "seconds": seconds,
        "think_seconds": think,
        "picture_bytes": picture_bytes,
        "rating_to_next_picture_ms": {
            "p50": round(float(p50), 1),
            "p95": round(float(p95), 1),
            "max": round(float(milliseconds.max()), 1),
        },
        "requests_per_s": round(measurement.requests / seconds, 1),
        "ratings_per_s": round(len(measurement.acknowledged) / seconds, 1),
        "acknowledged": len(measurement.acknowledged),
        "lost": sum(stored[rating] == 0 for rating in measurement.acknowledged),
        "stored_twice": sum(count > 1 for count in places.values()),
        "errors": dict(measurement.errors),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": platform.platform(),
    }


def make_study(store: Store, trials: int) -> int:
    """A study of at least so many trials per rater, in one session; the mean number of bytes of a picture."""
    store.folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    files = []
    for _ in range(PICTURES):
        file = BytesIO()
        Image.fromarray(rng.integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)).save(file, "PNG", compress_level=1)
        files.append(sha256(file.getvalue()).hexdigest())
        store.picture(files[-1]).write_bytes(file.getvalue())
    images = [("Noise", f"image{n:04d}") for n in range(max(PICTURES, -(-trials // len(METHODS))))]
    images += [(CALIBRATION_DATASET, "example")]
    places = [(*image, method) for image in images for method in METHODS]
    rows = [StimulusRow(*place, files[n % PICTURES], *SIZE) for n, place in enumerate(places)]
    config = {
        "name": "Load test",
        "seed": 0,
        "languages": ["en"],
        "datasets": [{"name": "Noise", "hr": "noise", "methods": METHODS}],
        "calibration": {"hr": "noise", "scores": {"nearest": 1, "hr": 5}},
        "sessions": {"trials": len(rows)},
    }
    study = config_from_json(json.dumps(config))
    store.prepare_study(study.canonical(), study.fingerprint(), study.name, study.seed, rows)
    return sum(store.picture(name).stat().st_size for name in files) // PICTURES


@contextmanager
def serving(url: str, stimuli: Path, processes: int) -> Iterator[list[str]]:
    """The addresses of so many servers of one database; they end with the block."""
    ports = [_free_port() for _ in range(processes)]
    command = [sys.executable, "-m", "mos_study.app", "--db", url, "--stimuli", str(stimuli), "--port"]
    servers = [subprocess.Popen([*command, str(port)], stdout=subprocess.DEVNULL) for port in ports]
    bases = [f"http://127.0.0.1:{port}" for port in ports]
    try:
        for base, server in zip(bases, servers, strict=True):
            _wait_for(base, server)
        yield bases
    finally:
        for server in servers:
            server.terminate()
        for server in servers:
            server.wait()


def _wait_for(base: str, server: subprocess.Popen) -> None:
    deadline = time.monotonic() + START_SECONDS
    opener = build_opener(ProxyHandler({}))  # this machine is reached without a proxy
    while True:
        try:
            opener.open(f"{base}/pages/rater.css", timeout=START_SECONDS).close()
        except OSError as error:
            if server.poll() is not None or time.monotonic() > deadline:
                raise SRError(f"The server at {base} did not start: see its message above") from error
            time.sleep(0.2)
        else:
            return


async def _rate_all(names: dict[str, str], bases: list[str], seconds: float, think: float) -> Measurement:
    visitors = [Visitor(token) for token in names]
    measurement = Measurement()
    gate = asyncio.Semaphore(AT_ONCE)
    bar = tqdm(total=len(visitors), desc="raters begin", unit="rater", leave=False)

    async def begin(visitor: Visitor) -> None:
        async with gate:
            await visitor.begin(random.choice(bases))
            bar.update()

    try:
        await asyncio.gather(*map(begin, visitors))
        bar.close()
        print(f"{len(visitors)} raters rate for {seconds:g} s ...", file=sys.stderr, flush=True)
        end = time.monotonic() + seconds
        await asyncio.gather(*(_rate(v, names[v.token], bases, end, think, measurement) for v in visitors))
    finally:
        for visitor in visitors:
            await visitor.close()
    return measurement


async def _rate(
    visitor: Visitor, name: str, bases: list[str], end: float, think: float, measurement: Measurement
) -> None:
    await asyncio.sleep(random.uniform(0, think))  # or all would rate at the same instants
    while visitor.trial and time.monotonic() < end:
        rating = (name, visitor.position, random.randint(1, 5))
        start = time.perf_counter()
        try:
            measurement.requests += 1
            status = await visitor.rate(random.choice(bases), rating[2])
            if status != HTTPStatus.OK:
                measurement.errors[f"status {status}"] += 1
                return
            measurement.acknowledged.append(rating)
            if visitor.trial is None:
                return
            measurement.requests += 1
            await visitor.picture(random.choice(bases))
        except (aiohttp.ClientError, TimeoutError) as error:
            measurement.errors[type(error).__name__] += 1
            return
        measurement.latencies.append(time.perf_counter() - start)
        await asyncio.sleep(random.uniform(0.5, 1.5) * think)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _add_to(file: Path, name: str, result: dict[str, Any]) -> None:
    runs = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    text = json.dumps({**runs, name: result}, indent=2) + "\n"
    write_text(file, text)


if __name__ == "__main__":
    sys.exit(main())
