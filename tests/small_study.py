"""A small study for the tests of its pages: pictures of noise under names and numbers that a leak would show."""

import hashlib
import json
import sqlite3
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mos_study.config import config_from_json
from mos_study.records import CALIBRATION_DATASET, StimulusRow
from mos_study.store import Store

METHODS = ("nearest", "srgan", "hr")
SIZES = {"lighthouse071": (48, 32), "wharf072": (33, 47), "gantry073": (64, 64)}  # odd ones on purpose
CALIBRATION_IMAGES = ("beacon081", "breakwater082")
FIRST_ID = 7_310_000  # the ids of images, methods, stimuli and raters lie above it

CONFIG: dict[str, Any] = {
    "name": "srgan harbour study",
    "seed": 4,
    "languages": ["en", "de"],
    "datasets": [{"name": "Harbour", "hr": "/data/harbour", "methods": list(METHODS)}],
    "calibration": {"hr": "/data/calibration", "scores": {"nearest": 1, "hr": 5}, "practice": 2},
    "sessions": {"trials": 5, "break_minutes": 2},
    "undo": True,
    "open": 3,
    "questions": [
        {"id": "age", "kind": "number", "text": {"en": "Age", "de": "Alter"}, "minimum": 18, "maximum": 120},
        {
            "id": "glasses",
            "kind": "choice",
            "text": {"en": "Do you wear glasses now?", "de": "Tragen Sie jetzt eine Brille?"},
            "options": {"en": ["yes", "no"], "de": ["ja", "nein"]},
            "required": True,
        },
        {"id": "field", "kind": "text", "text": {"en": "Your field of work", "de": "Ihr Arbeitsgebiet"}},
    ],
}


def noise(seed: int, size: tuple[int, int]) -> bytes:
    """PNG of random colours."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def make_study(folder: Path, url: str | None = None, methods: tuple[str, ...] = METHODS, **changes: Any) -> Store:
    """Prepares the study in an empty folder. changes: keys of CONFIG with other values."""
    store = Store.open(url or f"sqlite:///{folder}/study.db", folder / "stimuli")
    store.folder.mkdir(parents=True, exist_ok=True)
    places = [("Harbour", image, method, size) for image, size in SIZES.items() for method in methods]
    places += [
        (CALIBRATION_DATASET, image, method, (50, 40)) for image in CALIBRATION_IMAGES for method in ("hr", "nearest")
    ]
    rows = []
    for seed, (dataset, image, method, size) in enumerate(places):
        content = noise(seed, size)
        digest = hashlib.sha256(content).hexdigest()
        store.picture(digest).write_bytes(content)
        rows.append(StimulusRow(dataset, image, method, digest, *size))
    datasets = [CONFIG["datasets"][0] | {"methods": list(methods)}]
    config = config_from_json(json.dumps({**CONFIG, "datasets": datasets, **changes}))
    store.prepare_study(config.canonical(), config.fingerprint(), config.name, config.seed, rows)
    return store


def raise_ids(folder: Path) -> None:
    """Gives the rows of a study in SQLite, of which no trials are planned yet, ids that occur nowhere else."""
    with sqlite3.connect(folder / "study.db") as database:
        database.execute("PRAGMA foreign_keys = OFF")
        for n, table in enumerate(("image", "method", "stimulus", "rater")):
            database.execute(f"UPDATE {table} SET id = id + {FIRST_ID + 1000 * n}")
        database.execute(
            f"UPDATE stimulus SET image_id = image_id + {FIRST_ID}, method_id = method_id + {FIRST_ID + 1000}"
        )
    database.close()
