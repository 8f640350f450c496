"""The experimenter's page: who gets in, and what it shows and does."""

import asyncio
import csv
import json
import re
import socket
import sqlite3
import threading
import time
from io import StringIO
from types import SimpleNamespace
from urllib.parse import urlparse

import pytest
import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient

from mos_study import experimenter_login, export, security, simulate
from mos_study.experimenter import Page, mount_experimenter
from mos_study.server import create_app
from mos_study.store import Store
from mos_study.visitor import Visitor
from sr.errors import SRError
from tests.chromium import CHROMIUM, FLAGS
from tests.small_study import CONFIG, make_study

SECRET = "correct-horse-battery"
PATIENCE = 60_000  # milliseconds
HOURS = iter(range(1, 1000))
SCORES = {"nearest": 1, "bicubic": 2, "srgan": 4, "hr": 5}


def rate_all(store: Store, score) -> None:
    """One rater from link to code; score: from a method to what it gets."""
    methods = {stimulus.id: stimulus.method for stimulus in store.stimuli()}
    client = TestClient(create_app(store))
    token = store.add_rater()

    def post(action: str, body: dict) -> dict:
        answer = client.post(f"/s/{token}/{action}", json=body, headers={"X-Study": "1"})
        assert answer.status_code == 200, answer.text
        return answer.json()

    facts = dict.fromkeys(("window_width", "window_height", "screen_width", "screen_height"), 900)
    post("consent", {"language": "en"})
    post("check", {"pixel_ratio": 1.0, "zoom": 100, **facts})
    post("answers", {"glasses": 1, "field": "optics"})
    state = post("calibrated", {})
    while state["stage"] != "done":
        if state["stage"] == "break":
            state = post("resume", {})
        method = methods[store.trial_by_token(store.rater(token).id, state["trial"]["trial"]).stimulus_id]
        rating = {"trial": state["trial"]["trial"], "score": score(method), "visible_ms": 1500, "hidden_ms": 0}
        state = post("rate", rating)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> tuple[Store, FastAPI]:
    """A study that two raters have finished, one of them with always the same score."""
    store = make_study(tmp_path_factory.mktemp("study"), methods=tuple(SCORES))
    rate_all(store, SCORES.get)
    rate_all(store, lambda method: 3)
    return store, mount_experimenter(create_app(store), store, SECRET)


@pytest.fixture
def client(study, monkeypatch) -> TestClient:
    """A browser that has not logged in, when nobody has tried to for an hour."""
    past = time.monotonic() + next(HOURS) * 3600
    monkeypatch.setattr(security, "time", SimpleNamespace(monotonic=lambda: past))
    return TestClient(study[1], follow_redirects=False)


def log_in(client: TestClient, secret: str = SECRET):
    return client.post("/experimenter/login", data={"secret": secret})


def events(store: Store) -> str:
    with sqlite3.connect(store.folder.parent / "study.db") as database:
        return str(database.execute("SELECT kind, data FROM event").fetchall())


@pytest.mark.parametrize(
    "path",
    ["", "/", "/config", "/ratings.csv", "/gradio_api/info", "/gradio_api/app_id", "/gradio_api/token", "/theme.css"],
)
@pytest.mark.parametrize("cookie", [None, "", "x", "9999999999.", "9999999999.0123abc", "9999999999.ä"])
def test_nothing_is_visible_without_login(client, path, cookie):
    headers = [] if cookie is None else [(b"cookie", f"experimenter={cookie}".encode())]
    for method in ("GET", "POST"):
        answer = client.request(method, f"/experimenter{path}", headers=headers)
        assert answer.status_code == 401 or answer.headers["location"] == "/experimenter/login"
        assert answer.text in ("", "Log in first.")


def test_login_gives_a_cookie_that_ends(client, monkeypatch):
    page = client.get("/experimenter/login")
    assert page.status_code == 200
    answer = log_in(client)
    assert (answer.status_code, answer.headers["location"]) == (303, "/experimenter/")
    cookie = answer.headers["set-cookie"]
    for part in ("HttpOnly", "SameSite=strict", "Path=/experimenter", f"Max-Age={12 * 3600}"):
        assert part in cookie
    assert SECRET not in str(answer.headers) + page.text
    shown = client.get("/experimenter/")
    assert shown.status_code == 200
    assert shown.headers["x-frame-options"] == "DENY"

    later = time.time() + 12 * 3600 + 1
    monkeypatch.setattr(experimenter_login, "time", SimpleNamespace(time=lambda: later))
    assert client.get("/experimenter/").headers["location"] == "/experimenter/login"


def test_cookie_is_for_https_only_where_the_page_is(study, client):
    client.base_url = "https://study.example.org"
    assert "Secure" in log_in(client).headers["set-cookie"]


def test_wrong_secrets_are_refused_logged_and_slowed_down(study, client, monkeypatch):
    for wrong in ("", "wrong-horse-battery", SECRET[:-1], SECRET + "x", "ä" * 30):
        answer = log_in(client, wrong)
        assert (answer.status_code, "set-cookie" in answer.headers) == (401, False)
    answer = log_in(client)
    assert (answer.status_code, "set-cookie" in answer.headers) == (429, False)  # right, but too late
    assert int(answer.headers["retry-after"]) > 0
    logged = events(study[0])
    assert logged.count("experimenter login") >= 5
    assert "horse" not in logged

    calm = time.monotonic() + next(HOURS) * 3600
    monkeypatch.setattr(security, "time", SimpleNamespace(monotonic=lambda: calm))
    assert log_in(client).status_code == 303


def test_huge_and_strange_logins_are_refused(client):
    for body in (b"secret=" + b"x" * 20_000, b"\xff\xfe", b"", b"secret=a&secret=b"):
        answer = client.post("/experimenter/login", content=body)
        assert answer.status_code in (401, 413)


def test_short_secret_is_refused(study):
    with pytest.raises(SRError, match="16 or more"):
        mount_experimenter(FastAPI(), study[0], "short")


def test_simulated_ratings_are_called_so(tmp_path, study):
    config = tmp_path / "study.yaml"
    datasets = [{"name": "Harbour", "hr": "none", "images": 4, "methods": ["bicubic", "hr"]}]
    config.write_text(json.dumps({**CONFIG, "datasets": datasets, "questions": []}))
    means = ["--mos", "bicubic=2", "hr=4.5"]
    url = f"sqlite:///{tmp_path}/study.db"
    assert simulate.main([str(config), "--raters", "2", "--db", url, *means]) == 0
    for store, simulated in ((Store.open(url), True), (study[0], False)):
        page = Page(store)
        assert ("SIMULATED" in page.overview()[0]) == ("SIMULATED" in page.scores()) == simulated


def test_export_is_what_the_command_writes(study, client, tmp_path):
    store, _ = study
    log_in(client)
    answer = client.get("/experimenter/ratings.csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="ratings.csv"'
    url = f"sqlite:///{store.folder.parent}/study.db"
    assert export.main(["--db", url, "-o", str(tmp_path / "ratings.csv")]) == 0
    assert answer.content == (tmp_path / "ratings.csv").read_bytes()
    assert len(list(csv.DictReader(StringIO(answer.text)))) == 2 * 14


@pytest.fixture(scope="module")
def address(study):
    """Where the page is really served."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(study[1], log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(20)


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("there is no Chromium (Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser, address, client):  # client: forgets earlier attempts
    contexts, requests, errors = [], [], []

    def open_at(width: int):
        context = browser.new_context(viewport={"width": width, "height": 900})
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        context.on("request", lambda request: requests.append(request.url))
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{address}/experimenter#{SECRET}")
        page.locator("#raters table").wait_for()
        return page

    yield open_at
    for context in contexts:
        context.close()
    assert {urlparse(url).hostname for url in requests if url.startswith("http")} == {"127.0.0.1"}
    assert errors == []
    assert not any(SECRET in url for url in requests if "#" not in url)


def stage(address: str, token: str) -> str:
    async def look() -> str:
        visitor = Visitor(token)
        await visitor.look(address)
        await visitor.close()
        return visitor.state["stage"]

    return asyncio.run(look())


def in_thread(function, *arguments):
    """Playwright keeps an event loop of its own in this thread."""
    result = []
    thread = threading.Thread(target=lambda: result.append(function(*arguments)))
    thread.start()
    thread.join()
    return result[0]


@pytest.mark.browser
@pytest.mark.parametrize("width", [1440, 390])
def test_the_page_shows_progress_and_hides_scores(open_page, width):
    page = open_page(width)
    assert page.url.endswith("/experimenter/")  # the link's secret is gone from the address
    summary = page.locator("#summary").inner_text()
    assert CONFIG["name"] in summary
    assert re.search(r"Ratings\s+28", summary)
    rows = page.locator("#raters tbody tr").all_inner_texts()
    assert "14 of 14" in rows[0]
    assert "same score" not in rows[0]
    assert "always the same score: 100% of 12 ratings are 3" in rows[1]
    assert "calibration missed" in rows[1]
    assert page.evaluate("document.documentElement.scrollWidth") <= width

    # Nowhere in the page before it is asked for.
    assert not re.search(r"\d to \d\.\d", page.content())
    choose_tab(page, "Scores")
    assert page.locator("#mos table").count() == 0
    page.locator("#show-mos").click()
    page.locator("#mos table").wait_for()
    cells = [row.split("\t")[1:3] for row in page.locator("#mos tbody tr").all_inner_texts()]
    # Two raters, one of whom gave 3 to everything.
    assert cells == [[method, f"{(SCORES[method] + 3) / 2:.2f}"] for method in sorted(SCORES)]
    page.get_by_role("button", name="Hide them").click()
    page.locator("#mos table").wait_for(state="detached")


@pytest.mark.browser
def test_pause_invite_and_delete_answers(open_page, study, address):
    store, _ = study
    page = open_page(1440)
    choose_tab(page, "Invite")
    page.locator("#number input").first.fill("2")
    page.locator("#invite").click()
    page.locator("#links textarea").wait_for()
    links = page.locator("#links textarea").input_value().splitlines()
    assert [link.rsplit("/", 1)[0] for link in links] == [f"{address}/s"] * 2
    tokens = [link.rsplit("/", 1)[1] for link in links]
    assert {in_thread(stage, address, token) for token in tokens} == {"consent"}

    page.locator("#pause").click()
    page.locator("#summary", has_text="paused").wait_for()
    assert in_thread(stage, address, tokens[0]) == "paused"
    page.locator("#resume").click()
    page.locator("#pause").wait_for()
    assert in_thread(stage, address, tokens[0]) == "consent"

    page.locator("#close").click()
    assert store.study().state == "open"
    page.locator("#really-close").click()
    page.locator("#summary", has_text="closed").wait_for()
    assert in_thread(stage, address, tokens[0]) == "closed"
    page.locator("#resume").click()
    page.locator("#pause").wait_for()

    choose_tab(page, "Personal answers")
    page.locator("#rater input").click()
    page.get_by_role("option", name="r002").click()
    page.locator("#forget").click()
    page.locator("#forgetting", has_text="r002").first.wait_for()
    assert all(row["has_answers"] for row in store.progress()[:2])
    page.locator("#really-forget").click()
    page.locator("#forgotten", has_text="deleted").wait_for()
    assert [row["has_answers"] for row in store.progress()[:2]] == [True, False]
    assert sum(row["done"] for row in store.progress()) == 28


def choose_tab(page, name: str) -> None:
    tab = page.get_by_role("tab", name=name, exact=True)
    if not tab.is_visible():
        page.locator(".overflow-menu > button").click()
        tab = page.locator(".overflow-dropdown button", has_text=name)
    tab.click()
