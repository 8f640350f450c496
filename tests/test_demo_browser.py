"""The real page of `python -m demo`, driven in headless Chromium."""

import base64
import re
import signal
import socket
import subprocess
import sys
import threading
from io import BytesIO
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import pytest
from PIL import Image

import sr
from demo.gallery import load_examples
from tests.chromium import CHROMIUM, FLAGS, NEEDS_CHROMIUM

ROOT = Path(__file__).parent.parent
PATIENCE = 60_000  # milliseconds; a busy two-core machine computes an example in ten seconds

pytestmark = NEEDS_CHROMIUM


@pytest.fixture(scope="module")
def url():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "demo", "--port", str(port)]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines = []
    try:
        for line in server.stdout:
            lines.append(line)
            if "http://" in line:
                break
        else:
            pytest.fail("the server ended: " + "".join(lines))
        # Emptied all the time, or the server would wait once the pipe is full.
        threading.Thread(target=lambda: lines.extend(server.stdout), daemon=True).start()
        yield re.search(r"http://\S+", lines[-1]).group()
    finally:
        server.send_signal(signal.SIGINT)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
    assert "Traceback" not in "".join(lines)


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser, url):
    """Opens the page at a width; afterwards no request may have gone anywhere but to the server."""
    contexts, requests, errors = [], [], []

    def open_at(width: int):
        context = browser.new_context(viewport={"width": width, "height": 900}, has_touch=width < 500)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        context.on("request", lambda request: requests.append(request.url))
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url)
        return page

    yield open_at
    for context in contexts:
        context.close()
    assert requests
    assert {urlparse(request).hostname for request in requests if not request.startswith(("data:", "blob:"))} == {
        "127.0.0.1"
    }
    assert errors == []


def wait_for_result(page, name: str) -> None:
    page.locator("#status", has_text=f"{name}, ").wait_for()
    page.wait_for_function("document.querySelector('#crops .panes')?.dataset.left !== undefined")


def choose(page, mode: str, title: str) -> None:
    page.locator(f"#{mode}-examples button", has_text=title).click()


def upload(page, path: Path) -> None:
    clear = page.locator("#upscale-photo").get_by_label(re.compile("clear|remove", re.IGNORECASE))
    if clear.count():
        clear.first.click()
    page.locator("#upscale-photo input[type=file]").first.set_input_files(path)


def fetched(page, url: str) -> np.ndarray:
    response = page.request.get(url)
    assert response.headers["content-type"] == "image/png"
    image = Image.open(BytesIO(response.body()))
    assert image.format == "PNG"
    return np.array(image)


def panes(page) -> tuple[int, int, int]:
    data = page.locator("#crops .panes").evaluate("panes => ({...panes.dataset})")
    return int(data["left"]), int(data["top"]), int(data["side"])


def check_crops(page, zoom: int) -> None:
    """Every canvas shows the same place of its picture, a pixel as a block of zoom x zoom."""
    left, top, _ = panes(page)
    canvases = page.locator("#crops canvas").all()
    for canvas in canvases:
        whole = fetched(page, canvas.get_attribute("data-url"))
        url = canvas.evaluate("canvas => canvas.toDataURL('image/png')")
        shown = np.array(Image.open(BytesIO(base64.b64decode(url.split(",")[1]))).convert("RGB"))
        expected = whole[top:, left:].repeat(zoom, 0).repeat(zoom, 1)[: shown.shape[0], : shown.shape[1]]
        np.testing.assert_array_equal(shown[: expected.shape[0], : expected.shape[1]], expected)
        assert min(expected.shape[:2]) > 100


@pytest.mark.parametrize("width", [1440, 390])
def test_upscale_an_example_and_look_at_it(open_page, width):
    page = open_page(width)
    wait_for_result(page, "cat.png")  # computed without being asked: the page is not empty
    choose(page, "upscale", "Astronaut")
    wait_for_result(page, "astronaut.png")
    assert page.evaluate("document.documentElement.scrollWidth") <= width

    # The slider shows the very pixels that the library computes, losslessly.
    lr = Image.open(next(example.lr for example in load_examples() if example.name == "astronaut"))
    images = page.locator("#slider img").evaluate_all("images => images.map(image => image.src)")
    for source, method in zip(images, ("bicubic", "srgan"), strict=True):
        np.testing.assert_array_equal(fetched(page, source), np.array(sr.load(method).upscale(lr)))

    # Its line follows the pointer.
    slider = page.locator("#slider .outer")
    slider.scroll_into_view_if_needed()
    before = page.locator("#slider img.fixed").get_attribute("style")
    box = slider.bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] - 80, middle[1], steps=4)
    page.mouse.up()
    assert page.locator("#slider img.fixed").get_attribute("style") != before

    # Zoom by keyboard, move by dragging one crop: all follow.
    assert page.locator("#crops figcaption strong").all_inner_texts() == ["Bicubic", "SRResNet", "SRGAN"]
    page.locator("#crops").scroll_into_view_if_needed()
    check_crops(page, zoom=3)
    page.locator("#crops [data-control=zoom]").focus()
    page.keyboard.press("ArrowRight")
    check_crops(page, zoom=4)
    left, top, _ = panes(page)
    box = page.locator("#crops canvas").nth(1).bounding_box()
    page.mouse.move(box["x"] + 80, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 40, box["y"] + 40, steps=3)
    page.mouse.up()
    assert panes(page)[:2] == (left + 10, top + 5)
    check_crops(page, zoom=4)
    page.locator("#crops .panes").focus()
    page.keyboard.press("ArrowLeft")
    assert panes(page)[0] < left + 10


def test_compare_measures_and_offers_the_original(open_page, tmp_path):
    page = open_page(1440)
    page.get_by_role("tab", name="Compare").click()
    choose(page, "compare", "Patch")
    wait_for_result(page, "patch.png")
    table = page.locator("#figures table")
    assert "paper" in table.locator("thead").inner_text()
    assert re.search(r"SRResNet\s+[\d.]+\ss\s+\d\d\.\d\d / 0\.\d{4}\s+\d\d\.\d\d / 0\.\d{4}", table.inner_text())
    truth = np.array(Image.open(next(example.hr for example in load_examples() if example.name == "patch")))

    with page.expect_download() as download:
        page.get_by_label("Download Original as PNG").click()
    assert download.value.suggested_filename == "patch_x4_original.png"
    np.testing.assert_array_equal(np.array(Image.open(download.value.path())), truth)

    page.get_by_label("Left side").click()
    page.get_by_role("option", name="Original").click()
    page.wait_for_function("document.querySelector('#slider img').src.endsWith('original.png')")
    np.testing.assert_array_equal(fetched(page, page.locator("#slider img").first.get_attribute("src")), truth)
    page.locator("#line input[type=range]").focus()
    page.keyboard.press("End")
    # Of the image, where it is narrower than its frame, Gradio leaves a few percent at either end.
    position = "parseFloat(document.querySelector('#slider img.fixed').style.clipPath.split(' ').pop())"
    page.wait_for_function(f"{position} > 90")
    assert page.locator("#crops figcaption strong").all_inner_texts() == ["Bicubic", "SRResNet", "SRGAN", "Original"]


def test_bad_files_get_a_sentence_and_the_page_lives_on(open_page, tmp_path):
    page = open_page(1440)
    wait_for_result(page, "cat.png")
    (tmp_path / "words.png").write_text("not a picture")
    (tmp_path / "empty.png").write_bytes(b"")
    for name, sentence in (("words.png", "is not an image that can be read"), ("empty.png", "is empty (0 bytes)")):
        upload(page, tmp_path / name)
        page.get_by_role("alert").filter(has_text=f"{name} {sentence}").wait_for()
    Image.new("CMYK", (6, 5), (200, 10, 10, 0)).save(tmp_path / "print.jpg")
    upload(page, tmp_path / "print.jpg")
    page.locator("#status", has_text="print.jpg, 6 × 5 pixels, was enlarged to 24 × 20").wait_for()


def test_others_wait_until_a_job_is_stopped(open_page, tmp_path):
    large = tmp_path / "large.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), np.uint8)).save(large)
    first = open_page(1440)
    wait_for_result(first, "cat.png")
    upload(first, large)
    first.locator("#status", has_text=re.compile(r"tile \d+ of \d+")).wait_for()

    second = open_page(390)
    second.locator("#status", has_text=re.compile(r"queue: \d+/\d+")).wait_for()
    first.locator("#upscale-stop").click()
    first.get_by_role("status").filter(has_text="Stopped").wait_for()
    wait_for_result(second, "cat.png")  # minutes away if the stopped job still computed

    # A closed page stops its job too.
    first.locator("#upscale-run").click()
    first.locator("#status", has_text=re.compile(r"tile \d+ of \d+")).wait_for()
    first.close()
    choose(second, "upscale", "Gravel")
    wait_for_result(second, "gravel.png")
