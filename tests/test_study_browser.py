"""The rater's page, driven in headless Chromium."""

import signal

import numpy as np
import pytest

from mos_study.texts import load_texts
from tests.chromium import CHROMIUM, FLAGS, NEEDS_CHROMIUM
from tests.leaks import check_leaks
from tests.rater_page import (
    EN,
    PATIENCE,
    REACTION,
    Server,
    Study,
    Wire,
    on_screen,
    picture_is_there,
    title,
    walk_through_examples,
    walk_to_the_first_trial,
)
from tests.small_study import make_study, raise_ids

pytestmark = NEEDS_CHROMIUM


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
