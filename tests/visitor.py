"""A rater's page without a browser, and what a study's database holds after its requests."""

import json
import sqlite3

import pytest
from starlette.testclient import TestClient

from mos_study.security import Buckets
from mos_study.server import create_app
from mos_study.store import Store
from tests.small_study import make_study

FACTS = {
    "pixel_ratio": 1.25,
    "zoom": 100,
    "window_width": 1280,
    "window_height": 800,
    "screen_width": 1920,
    "screen_height": 1080,
}
ANSWERS = {"age": 30, "glasses": 1, "field": "optics"}
UNLIMITED = Buckets(capacity=1_000_000)


class Visitor:
    """A rater's page without a browser."""

    def __init__(self, client: TestClient, token: str):
        self.client, self.token = client, token

    def post(self, action: str, body: object = None, headers: dict | None = None):
        headers = {"X-Study": "1"} if headers is None else headers
        return self.client.post(f"/s/{self.token}/{action}", json={} if body is None else body, headers=headers)

    def get(self, path: str = ""):
        return self.client.get(f"/s/{self.token}{path}")

    def state(self) -> dict:
        return self.get("/state").json()

    def start(self) -> dict:
        """Goes to the first trial."""
        for action, body in (("consent", {"language": "en"}), ("check", FACTS), ("answers", ANSWERS)):
            assert self.post(action, body).status_code == 200
        return self.post("calibrated").json()

    def rate(self, trial: str, score: int = 3, **changes: object):
        body = {"trial": trial, "score": score, "visible_ms": 1234, "hidden_ms": 5, "client": FACTS}
        return self.post("rate", {**body, **changes})


def rows(store: Store, *tables: str) -> dict[str, list]:
    """The content of tables, straight from SQLite's file."""
    database = sqlite3.connect(store.folder.parent / "study.db")
    names = tables or ("study", "image", "method", "stimulus", "rater", "trial", "rating")
    content = {table: database.execute(f"SELECT * FROM {table} ORDER BY id").fetchall() for table in names}
    database.close()
    return content


def refusals(store: Store) -> list[dict]:
    return [json.loads(row[-1]) for row in rows(store, "event")["event"] if "refused" in row]


@pytest.fixture
def store(tmp_path):
    store = make_study(tmp_path)
    yield store
    store.close()


@pytest.fixture
def client(store):
    return TestClient(create_app(store, UNLIMITED))


@pytest.fixture
def visitor(store, client):
    return Visitor(client, store.add_rater())
