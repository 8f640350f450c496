"""Looks through all that a rater's browser received for anything that could tell what a picture is."""

import hashlib
import re

from tests.rater_page import Study, Wire
from tests.small_study import CALIBRATION_IMAGES, CONFIG, METHODS, SIZES


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
    # Random tokens, the study's and the trials', can hold any short word.
    token = re.compile(rf"{re.escape(study.token)}|(?<=[/\"])[\w-]{{22}}(?![\w-])")
    for text in (*wire.texts, *markup):
        text = token.sub("", text)
        found = pattern.search(text)
        assert found is None, text[max(0, found.start() - 100) : found.end() + 100]
    # Scores of the examples are all that a picture's surroundings tell.
    assert len(wire.pictures) >= 4 + 11
    for picture in wire.pictures:
        assert {name for name, _ in png_chunks(picture)} == {b"IHDR", b"IDAT", b"IEND"}
    for text in wire.texts:
        if text.startswith("{"):
            assert not re.search(r'"(id|image|method|dataset|stimulus|phase|repeat|position)"', text)
        url, _, headers = text.partition(" ")
        if "/picture/" in url and headers:
            assert "'content-type'" in headers
            assert "'etag'" not in headers
            assert "'last-modified'" not in headers


def png_chunks(picture: bytes) -> list[tuple[bytes, bytes]]:
    chunks, at = [], 8
    while at < len(picture):
        length = int.from_bytes(picture[at : at + 4], "big")
        chunks.append((picture[at + 4 : at + 8], picture[at + 8 : at + 8 + length]))
        at += 12 + length
    return chunks
