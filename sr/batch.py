"""Many images after one another: the next are read and the last are written while one is computed."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import NamedTuple

from PIL import Image

from sr.errors import SRError
from sr.paths import Job

MAX_WAITING_PIXELS = 400_000_000
"""Pixels of results that may be in memory together: 1.2 GB, 1.6 GB with alpha. A larger one is there alone."""

# What a damaged file, a full disk and a device without memory come to; torch raises RuntimeError.
_FAILURES = (SRError, RuntimeError, MemoryError)


class Outcome(NamedTuple):
    """error: why there is no result, in one sentence; "" if there is one."""

    job: Job
    error: str


def run_jobs(
    jobs: Iterable[Job],
    read: Callable[[Job], Image.Image],
    enlarge: Callable[[Job, Image.Image], Image.Image],
    write: Callable[[Job, Image.Image], None],
    *,
    scale: int,
    workers: int,
) -> Iterator[Outcome]:
    """Read, enlarge and write every image; one outcome for each, as soon as its result is complete or has failed.

    read and write run in `workers` threads each (Pillow lets others run while it decodes and encodes), enlarge in the
    caller's, one image at a time. At most `workers` images are read ahead and as many results written while one is
    computed, and the results have `MAX_WAITING_PIXELS` together.
    What read, enlarge and write say with SRError, a RuntimeError or a lack of memory is that image's outcome; anything
    else ends the run. When it ends early, results that are being written are completed.
    scale: enlargement per side.
    """
    jobs = iter(jobs)
    with ThreadPoolExecutor(workers) as readers, ThreadPoolExecutor(workers) as writers:
        ahead = deque((job, readers.submit(read, job)) for job in islice(jobs, workers))
        written: deque[tuple[Job, Future[None], int]] = deque()
        while ahead:
            job, reading = ahead.popleft()
            ahead.extend((following, readers.submit(read, following)) for following in islice(jobs, 1))
            try:
                image = reading.result()
                pixels = image.width * image.height * scale**2
                while written and not _has_room(written, pixels, workers):
                    yield _finished(written.popleft())
                result = enlarge(job, image)
            except _FAILURES as error:
                yield Outcome(job, _sentence(job, error))
            else:
                written.append((job, writers.submit(write, job, result), pixels))
                del result
            while written and written[0][1].done():
                yield _finished(written.popleft())
        while written:
            yield _finished(written.popleft())


def _has_room(written: Iterable[tuple[Job, Future[None], int]], pixels: int, workers: int) -> bool:
    waiting = [size for _, future, size in written if not future.done()]
    return len(waiting) <= workers and sum(waiting) + pixels <= MAX_WAITING_PIXELS


def _finished(entry: tuple[Job, Future[None], int]) -> Outcome:
    job, future, _ = entry
    try:
        future.result()
    except _FAILURES as error:
        return Outcome(job, _sentence(job, error))
    return Outcome(job, "")


def _sentence(job: Job, error: BaseException) -> str:
    if isinstance(error, SRError):
        return str(error)
    what = str(error).splitlines()[0] if str(error) else type(error).__name__
    return f"{job.source} could not be enlarged: {what}"
