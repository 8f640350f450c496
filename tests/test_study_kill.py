"""The server is killed with -9 again and again while raters rate: nothing that it has acknowledged is lost."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from mos_study.visitor import Visitor
from tests.postgres import fresh_database
from tests.small_study import make_study

RATERS = 50
KILLS = 10
RATINGS_BETWEEN_KILLS = 30
PATIENCE = 120  # seconds
ROOT = Path(__file__).parent.parent

BROKEN = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError)  # no answer, or half of one
Rating = tuple[int, int]  # the trial's position, the score

# Imports once and then forks a server for each line it reads: most of a server's start is its imports.
SERVERS = """
import os, sys
from pathlib import Path
import uvicorn
from mos_study.server import create_app
from mos_study.store import Store

url, folder, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
for line in sys.stdin:
    server = os.fork()
    if server == 0:
        store = Store.open(url, Path(folder), migrate=False)
        uvicorn.run(create_app(store), port=port, log_level="critical", access_log=False)
        os._exit(1)
    print(server, flush=True)
    os.waitpid(server, 0)
"""


class Servers:
    """One server at a time, always at the same address."""

    def __init__(self, url: str, stimuli: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.base = f"http://127.0.0.1:{port}"
        self._parent = subprocess.Popen(
            [sys.executable, "-c", SERVERS, url, str(stimuli), str(port)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.start()

    def start(self) -> None:
        self._parent.stdin.write("\n")
        self._parent.stdin.flush()
        self._server = int(self._parent.stdout.readline())
        self._running = True

    def kill(self) -> None:
        os.kill(self._server, signal.SIGKILL)
        self._running = False

    def close(self) -> None:
        if self._running:
            self.kill()
        self._parent.stdin.close()
        self._parent.wait(20)


async def patiently(attempt: Callable[[], Awaitable[None]]) -> None:
    """As the page does: while the server does not answer, wait and try again."""
    while True:
        try:
            return await attempt()
        except BROKEN:
            await asyncio.sleep(0.1)


async def rate(
    visitor: Visitor, base: str, acknowledged: list[Rating], broken: list[str], ended: asyncio.Event
) -> None:
    """Rates until the end, and notes the place and the score of each rating to which the server has said yes."""
    await patiently(lambda: visitor.begin(base))
    while visitor.trial and not ended.is_set():
        rating = visitor.position, 1 + (visitor.position + len(broken)) % 5
        try:
            status = await visitor.rate(base, rating[1])
        except BROKEN as error:
            broken.append(type(error).__name__)
            await patiently(lambda: visitor.look(base))
        else:
            assert status == 200
            acknowledged.append(rating)
            await asyncio.sleep(0.02)


async def kill_repeatedly(servers: Servers, acknowledged: dict[str, list[Rating]], ended: asyncio.Event) -> None:
    for kill in range(1, KILLS + 1):
        while sum(map(len, acknowledged.values())) < kill * RATINGS_BETWEEN_KILLS:
            await asyncio.sleep(0.005)
        servers.kill()
        if kill < KILLS:
            servers.start()
    ended.set()


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_acknowledged_ratings_survive_kills(tmp_path, database):
    url = f"sqlite:///{tmp_path}/study.db" if database == "sqlite" else fresh_database()
    store = make_study(tmp_path, url, questions=[], sessions={"trials": 100})
    acknowledged: dict[str, list[Rating]] = {store.add_rater(): [] for _ in range(RATERS)}
    broken: list[str] = []
    servers = Servers(url, store.folder)

    async def run() -> None:
        ended = asyncio.Event()
        visitors = [Visitor(token) for token in acknowledged]
        raters = [rate(visitor, servers.base, acknowledged[visitor.token], broken, ended) for visitor in visitors]
        tasks = [asyncio.ensure_future(each) for each in (kill_repeatedly(servers, acknowledged, ended), *raters)]
        await asyncio.wait_for(tasks[0], PATIENCE)
        for task in tasks[1:]:
            task.cancel()  # the server is dead for good
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in tasks:
            assert task.cancelled() or task.exception() is None, task.exception()
        for visitor in visitors:
            await visitor.close()

    try:
        asyncio.run(run())
    finally:
        servers.close()
    assert len(broken) > KILLS  # the kills came while raters rated

    stored = Counter((row["rater"], row["order"], row["score"]) for row in store.ratings())
    for token, ratings in acknowledged.items():
        name = store.rater(token).public_id
        assert [stored[name, *rating] for rating in ratings] == [1] * len(ratings)
    places = Counter((rater, position) for rater, position, _ in stored.elements())
    assert set(places.values()) == {1}
    # What was being rated at the moment of a kill may be stored without an acknowledgement, but nothing else.
    assert len(places) <= sum(map(len, acknowledged.values())) + len(broken) + RATERS
    store.close()
