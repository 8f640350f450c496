"""The rater's page for its tests: a server that can be killed, the traffic, and the steps from page to page."""

import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mos_study.records import Rater
from mos_study.store import Store
from mos_study.texts import load_texts

ROOT = Path(__file__).parent.parent
PATIENCE = 30_000  # milliseconds
REACTION = 250  # milliseconds; the page takes nothing faster for a judgement
EN = load_texts()["en"]

# The raters' side of `python -m mos_study.app`; the experimenter's takes seconds to start.
SERVE = """
import sys, uvicorn
from mos_study.server import create_app
from mos_study.store import Store
app = create_app(Store.open(sys.argv[1]))
uvicorn.run(app, port=int(sys.argv[2]), access_log=False, server_header=False)
"""


class Server:
    """The study on a port of its own, in a process that can be killed."""

    def __init__(self, folder: Path):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.command = [sys.executable, "-c", SERVE, f"sqlite:///{folder}/study.db", str(port)]
        self.lines: list[str] = []
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for line in self.process.stdout:
            self.lines.append(line)
            if "Uvicorn running" in line:
                break
        else:
            pytest.fail("the server ended: " + "".join(self.lines))
        # Emptied all the time, or the server would wait once the pipe is full.
        threading.Thread(target=lambda: self.lines.extend(self.process.stdout), daemon=True).start()

    def stop(self, how: signal.Signals) -> None:
        self.process.send_signal(how)
        self.process.wait(20)


@dataclass
class Study:
    folder: Path
    store: Store
    token: str
    server: Server

    @property
    def link(self) -> str:
        return f"{self.server.url}/s/{self.token}"

    @property
    def rater(self) -> Rater:
        return self.store.rater(self.token)

    def ratings(self) -> list[dict]:
        """Those of this rater."""
        return [rating for rating in self.store.ratings() if rating["rater"] == self.rater.public_id]

    def current(self) -> np.ndarray:
        """The stored picture of the trial to be rated."""
        trial = self.store.current_trial(self.rater.id)
        return np.array(Image.open(self.store.picture(trial.sha256)))


@dataclass
class Wire:
    """All that went between the browser and the server."""

    texts: list[str] = field(default_factory=list)
    pictures: list[bytes] = field(default_factory=list)

    def carry(self, route) -> None:
        from playwright.sync_api import Error

        request = route.request
        self.texts += [request.url, str(request.all_headers()), request.post_data or ""]
        try:
            response = route.fetch()
            body = response.body()
        except Error:  # the server is down
            route.abort()
            return
        self.texts.append(f"{response.url} {response.headers}")
        if body.startswith(b"\x89PNG"):
            self.pictures.append(body)
        else:
            self.texts.append(body.decode())
        route.fulfill(response=response)


def title(page, text: str) -> None:
    page.get_by_role("heading", name=text, level=1).wait_for()


def picture_is_there(page, n: int) -> None:
    """Waits until picture `n` (from 1) can be rated."""
    page.locator("#announce", has_text=f"Picture {n} of").wait_for(state="attached")
    page.wait_for_timeout(REACTION)


def walk_through_examples(page) -> None:
    page.keyboard.press("Enter")
    for n in range(4):
        page.get_by_text(f"Example {n + 1} of 4").wait_for()
        page.get_by_text(f"This is {(1, 5)[n % 2]}").wait_for()
        page.keyboard.press("Enter")


def on_screen(page, ratio: float) -> np.ndarray:
    """The device pixels that the picture covers, and that around it all is mid-grey."""
    box = page.locator("#stage img").bounding_box()
    edges = [box["x"] * ratio, box["y"] * ratio, (box["x"] + box["width"]) * ratio, (box["y"] + box["height"]) * ratio]
    left, top, right, bottom = (round(edge) for edge in edges)
    np.testing.assert_allclose(edges, [left, top, right, bottom], atol=0.02)
    screen = np.array(Image.open(BytesIO(page.screenshot())).convert("RGB"))
    around = screen[top - 3 : bottom + 3, left - 3 : right + 3].copy()
    around[3:-3, 3:-3] = 128
    assert (around == 128).all()
    return screen[top:bottom, left:right]


def walk_to_the_first_trial(page) -> None:
    """By keys alone."""
    title(page, EN["consent_title"])
    page.locator("#agree").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    title(page, EN["check_title"])
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    title(page, EN["questions_title"])
    page.keyboard.press("Tab")
    page.keyboard.type("41")
    page.keyboard.press("Enter")
    page.get_by_role("alert").filter(has_text=EN["questions_missing"]).wait_for()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    title(page, EN["instructions_title"])
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    title(page, EN["examples_title"])
    walk_through_examples(page)
    title(page, EN["practice_title"])
    page.keyboard.press("Enter")
