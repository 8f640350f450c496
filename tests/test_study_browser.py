"""The rater's page, driven in headless Chromium."""

import hashlib
import re
import shutil
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
from tests.small_study import CALIBRATION_IMAGES, CONFIG, METHODS, SIZES, make_study, raise_ids

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ROOT = Path(__file__).parent.parent
PATIENCE = 30_000  # milliseconds
REACTION = 250  # milliseconds; the page takes nothing faster for a judgement
EN = load_texts()["en"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium (Debian: apt-get install chromium)"),
]


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


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    store = make_study(folder)
    token = store.add_rater()
    raise_ids(folder)
    server = Server(folder)
    yield Study(folder, store, token, server)
    server.stop(signal.SIGINT)
    store.close()
    assert "Traceback" not in "".join(server.lines)


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright.chromium


@pytest.fixture(scope="module")
def browser(chromium):
    browser = chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    yield browser
    browser.close()


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


@pytest.fixture
def open_browser(browser):
    """Opens a page; nothing may be asked of another machine, and no script may fail.

    wire: where to keep the traffic.
    """
    contexts, hosts, sockets, problems = [], set(), [], []

    def open_at(
        link: str,
        size: tuple[int, int] | None = (560, 420),
        language: str = "en-GB",
        wire: Wire | None = None,
        **how,
    ):
        how["viewport" if size else "no_viewport"] = {"width": size[0], "height": size[1]} if size else True
        context = how.pop("of", browser).new_context(locale=language, **how)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        if wire:
            context.route("**/*", wire.carry)
        context.on("request", lambda request: hosts.add(request.url.split("/")[2]))
        page = context.new_page()
        page.on("websocket", lambda opened: sockets.append(opened.url))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "console",
            lambda message: (
                message.type == "error"
                # Told of every lost or refused request.
                and "Failed to load resource" not in message.text
                and problems.append(message.text)
            ),
        )
        page.goto(link)
        return page

    yield open_at
    for context in contexts:
        context.close()
    assert len(hosts) == 1
    assert sockets == problems == []


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


def test_a_whole_study_by_keys(study, open_browser):
    wire = Wire()
    page = open_browser(study.link, wire=wire)
    markup = []
    walk_to_the_first_trial(page)
    total = 11
    for done in range(total):
        if done == 2:
            title(page, EN["main_title"])
            page.keyboard.press("Enter")
        if done == 6:
            title(page, EN["break_title"])
            page.keyboard.press("Enter")
        picture_is_there(page, done + 1)
        assert (study.rater.done, study.rater.total) == (done, total)
        np.testing.assert_array_equal(on_screen(page, 1), study.current())
        assert page.locator("#stage img").get_attribute("alt") == f"Picture {done + 1} of {total}, to be rated"
        markup.append(page.content())
        if done == 3:  # a reload loses nothing
            page.reload()
            title(page, EN["remind_title"])
            walk_through_examples(page)
            picture_is_there(page, done + 1)
            np.testing.assert_array_equal(on_screen(page, 1), study.current())
        if done == 5:  # the server dies; the rating is given all the same
            study.server.stop(signal.SIGKILL)
            page.keyboard.press("4")
            page.get_by_text(EN["offline"]).wait_for()
            assert study.rater.done == done
            study.server.start()
        elif done == 8:  # undo, and the rating again
            page.keyboard.press("1")
            picture_is_there(page, done + 2)
            page.keyboard.press("u")
            picture_is_there(page, done + 1)
            assert study.rater.done == done
            page.keyboard.press("2")
        else:
            page.keyboard.press(str(1 + done % 5))
    title(page, EN["done_title"])
    rater = study.rater
    assert rater.finished
    assert page.locator("#code").inner_text() == rater.completion_code
    markup.append(page.content())

    ratings = study.ratings()
    expected = [1 + done % 5 for done in range(total)]
    expected[5], expected[8] = 4, 2
    assert [rating["score"] for rating in ratings] == expected
    assert all(REACTION <= rating["visible_ms"] < PATIENCE for rating in ratings)
    assert {rating["pixel_ratio"] for rating in ratings} == {1}
    check_leaks(study, wire, markup)


def check_leaks(study: Study, wire: Wire, markup: list[str]) -> None:
    """Nothing that the browser received names a method, an image, a place or a number of the database."""
    stimuli = study.store.stimuli()
    secrets = {*METHODS, *SIZES, *CALIBRATION_IMAGES, "Harbour", CONFIG["name"], "calibration>", str(study.folder)}
    secrets |= {str(study.store.folder), "study.db", ".png", study.rater.public_id, str(study.rater.id)}
    secrets |= {str(s.id) for s in stimuli} | {s.sha256 for s in stimuli}
    secrets.add(hashlib.sha256(study.token.encode()).hexdigest())
    secrets |= {str(7_310_000 + n) for n in range(1, 40)} | {str(7_311_000 + n) for n in range(1, 10)}
    # Whole words: "hr" is in "href".
    pattern = re.compile("|".join(rf"(?<![^\W_]){re.escape(word)}(?![^\W_])" for word in secrets), re.IGNORECASE)
    assert pattern.search('{"id": 7310001}')
    assert pattern.search("/pictures/x_srgan.png")
    for text in (*wire.texts, *markup):
        found = pattern.search(text)
        assert found is None, text[max(0, found.start() - 100) : found.end() + 100]
    # Scores of the examples are all that a picture's surroundings tell.
    assert len(wire.pictures) >= 4 + 11
    for picture in wire.pictures:
        assert {name for name, _ in png_chunks(picture)} == {b"IHDR", b"IDAT", b"IEND"}
    for text in wire.texts:
        if text.startswith("{"):
            assert not re.search(r'"(id|image|method|dataset|stimulus|phase|repeat|position)"', text)
        if "/picture/" in text.split(" ")[0]:
            assert "etag" not in text.lower()
            assert "last-modified" not in text.lower()


def png_chunks(picture: bytes) -> list[tuple[bytes, bytes]]:
    chunks, at = [], 8
    while at < len(picture):
        length = int.from_bytes(picture[at : at + 4], "big")
        chunks.append((picture[at + 4 : at + 8], picture[at + 8 : at + 8 + length]))
        at += 12 + length
    return chunks


@pytest.fixture
def started(study):
    """A link of a rater who is at the first trial."""
    import httpx

    token = study.store.add_rater()
    facts = dict.fromkeys(("window_width", "window_height", "screen_width", "screen_height", "zoom"), 100)
    with httpx.Client(base_url=f"{study.server.url}/s/{token}/", headers={"X-Study": "1"}) as client:
        for action, body in (
            ("consent", {"language": "en"}),
            ("check", {**facts, "pixel_ratio": 1}),
            ("answers", {"glasses": 0}),
            ("calibrated", {}),
        ):
            assert client.post(action, json=body).status_code == 200
    return Study(study.folder, study.store, token, study.server)


def come_back(page) -> None:
    title(page, EN["remind_title"])
    walk_through_examples(page)


def check_pixels(page, study: Study, ratio: float) -> None:
    """The first pictures, on screen and stored."""
    come_back(page)
    assert page.evaluate("devicePixelRatio") == ratio
    for done in range(3):
        if done == 2:
            title(page, EN["main_title"])
            page.keyboard.press("Enter")
        picture_is_there(page, done + 1)
        np.testing.assert_array_equal(on_screen(page, ratio), study.current())
        page.keyboard.press("3")


def test_one_image_pixel_is_one_device_pixel(open_browser, started):
    # An odd window: its middle lies between two pixels.
    page = open_browser(started.link, size=(561, 419), device_scale_factor=2)
    check_pixels(page, started, 2)


def test_so_it_is_where_a_css_pixel_has_a_broken_number_of_device_pixels(chromium, open_browser, started):
    # A simulated screen rounds to whole CSS pixels, as no real one does; this flag makes the browser draw for one.
    flags = [*FLAGS, "--force-device-scale-factor=1.25", "--window-size=701,653"]
    browser = chromium.launch(executable_path=CHROMIUM, args=flags)
    page = open_browser(started.link, of=browser, size=None)
    check_pixels(page, started, 1.25)


def test_held_keys_and_double_clicks_rate_once(open_browser, started):
    page = open_browser(started.link)
    come_back(page)
    picture_is_there(page, 1)
    for _ in range(8):  # from the second on the browser calls it a repetition
        page.keyboard.down("3")
        page.wait_for_timeout(100)
    picture_is_there(page, 2)
    page.keyboard.down("3")
    page.keyboard.up("3")
    assert started.rater.done == 1
    page.get_by_role("button", name="5 excellent").dblclick(delay=20)
    title(page, EN["main_title"])
    page.keyboard.press("Enter")
    picture_is_there(page, 3)
    assert started.rater.done == 2
    # A held Enter on a button.
    page.get_by_role("button", name="2 poor").focus()
    for _ in range(8):
        page.keyboard.down("Enter")
        page.wait_for_timeout(100)
    page.keyboard.up("Enter")
    picture_is_there(page, 4)
    assert started.rater.done == 3
    assert [rating["score"] for rating in started.ratings()] == [3, 5, 2]


def test_two_tabs_see_the_truth(open_browser, started):
    first = open_browser(started.link)
    come_back(first)
    picture_is_there(first, 1)
    second = open_browser(started.link)
    come_back(second)
    picture_is_there(second, 1)
    second.keyboard.press("5")
    picture_is_there(second, 2)
    first.keyboard.press("1")  # the picture that the other one has rated
    first.get_by_text(EN["elsewhere"]).wait_for()
    picture_is_there(first, 2)
    assert started.rater.done == 1
    np.testing.assert_array_equal(on_screen(first, 1), on_screen(second, 1))
    assert [rating["score"] for rating in started.ratings()] == [5]


def test_a_hidden_picture_costs_no_time(open_browser, started):
    page = open_browser(started.link)
    come_back(page)
    picture_is_there(page, 1)
    # The window shrinks until the picture does not fit: it is covered, and cannot be rated.
    page.set_viewport_size({"width": 300, "height": 150})
    page.get_by_role("heading", name=EN["small_title"]).wait_for()
    page.keyboard.press("5")
    page.wait_for_timeout(1500)
    page.set_viewport_size({"width": 560, "height": 420})
    page.get_by_role("heading", name=EN["small_title"]).wait_for(state="hidden")
    page.keyboard.press("2")
    picture_is_there(page, 2)
    (rating,) = started.ratings()
    assert rating["score"] == 2
    assert rating["hidden_ms"] >= 1500
    assert rating["visible_ms"] >= REACTION


def test_a_phone_is_told_what_to_do(open_browser, study):
    words = load_texts()["de"]
    link = f"{study.server.url}/s/{study.store.add_rater()}"
    page = open_browser(link, size=(390, 150), language="de-DE", has_touch=True)
    title(page, words["consent_title"])
    page.get_by_role("button", name="English").click()
    title(page, EN["consent_title"])
    page.get_by_role("button", name="Deutsch").click()
    page.get_by_label(words["consent_agree"]).check()
    page.get_by_role("button", name=words["consent_start"]).click()
    page.get_by_text(words["check_help"][0]).wait_for()
    button = page.get_by_role("button", name=words["check_done"])
    assert button.is_disabled()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_text(words["check_help"][0]).wait_for(state="hidden")
    assert button.is_enabled()
