"""The raters' routes: the course of a study, what is refused, and what an answer tells."""

import json
import re
import sqlite3

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from mos_study.security import MAX_BODY_BYTES, Buckets
from mos_study.server import create_app
from mos_study.store import Store
from mos_study.texts import load_texts, preferred_language
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


def rows(store: Store, *tables: str) -> dict[str, list]:
    """The content of tables, straight from SQLite's file."""
    database = sqlite3.connect(store.folder.parent / "study.db")
    names = tables or ("study", "image", "method", "stimulus", "rater", "trial", "rating")
    content = {table: database.execute(f"SELECT * FROM {table} ORDER BY id").fetchall() for table in names}
    database.close()
    return content


def refusals(store: Store) -> list[dict]:
    return [json.loads(row[-1]) for row in rows(store, "event")["event"] if "refused" in row]


def test_a_study_from_consent_to_code(store, visitor):
    stages = [visitor.state()["stage"]]
    for action, body in (("consent", {"language": "de"}), ("check", FACTS), ("answers", ANSWERS), ("calibrated", {})):
        answer = visitor.post(action, body).json()
        stages.append(answer["stage"])
    assert stages == ["consent", "check", "questions", "instructions", "trial"]
    total = answer["progress"]["total"]
    assert total == 2 + 9
    seen = []
    while answer["stage"] != "done":
        if answer["stage"] == "break":
            seen.append("break")
            assert visitor.state()["stage"] == "break"  # also for a page that is opened now
            answer = visitor.post("resume").json()
        trial = answer["trial"]
        picture = visitor.get(f"/picture/{trial['trial']}")
        assert picture.content == store.picture(store.current_trial(1).sha256).read_bytes()
        seen.append("practice" if trial["practice"] else "main")
        answer = visitor.rate(trial["trial"], 1 + len(seen) % 5).json()
    assert seen == ["practice"] * 2 + ["main"] * 4 + ["break"] + ["main"] * 5
    assert answer["code"] == visitor.state()["code"]
    ratings = list(store.ratings())
    assert [rating["score"] for rating in ratings][:3] == [2, 3, 4]
    assert {rating["visible_ms"] for rating in ratings} == {1234}
    assert {rating["pixel_ratio"] for rating in ratings} == {1.25}
    # An option is kept in the words of the study's first language, whatever the rater reads.
    assert json.loads(next(c for c in rows(store)["rater"][0] if "glasses" in str(c)))["glasses"] == "no"


def test_one_database_behind_two_processes(store, visitor):
    here, there = visitor, Visitor(TestClient(create_app(store, UNLIMITED)), visitor.token)
    answer = here.start()
    for n in range(5):
        turn = (there, here)[n % 2]
        assert turn.state()["trial"]["trial"] == answer["trial"]["trial"]
        assert turn.get(f"/picture/{answer['trial']['trial']}").status_code == 200
        answer = turn.rate(answer["trial"]["trial"]).json()
    assert answer["progress"]["done"] == 5


def test_sent_again_nothing_happens_twice(store, visitor):
    first = visitor.start()["trial"]["trial"]
    assert visitor.start()["trial"]["trial"] == first  # every step again
    assert visitor.rate(first, 2).status_code == 200
    again = visitor.rate(first, 5)
    assert again.status_code == 409
    assert again.json()["state"]["progress"]["done"] == 1  # tells where the rater is
    assert [rating["score"] for rating in store.ratings()] == [2]


def test_only_the_current_trial_of_ones_own_can_be_rated(store, client, visitor):
    other = Visitor(client, store.add_rater())
    foreign, state = other.start()["trial"], visitor.start()
    later = store.window(1, 14)
    before = rows(store)
    assert visitor.rate(foreign["trial"]).status_code == 404
    assert visitor.rate(later[1].token).status_code == 409
    assert visitor.rate("A" * 22).status_code == 404
    for score in (0, 6, -1, 3.0, "3", True, None, [3], 10**30):
        assert visitor.rate(state["trial"]["trial"], score).status_code == 422
    for changes in ({"visible_ms": -1}, {"hidden_ms": 10**15}, {"method": "hr"}, {"client": {"zoom": 1}}):
        assert visitor.rate(state["trial"]["trial"], **changes).status_code == 422
    assert rows(store) == before
    assert len(refusals(store)) == 3 + 9 + 4
    # Pictures: the current one and the one to load ahead, to their rater alone.
    codes = [visitor.get(f"/picture/{trial.token}").status_code for trial in later]
    assert codes == [200, 200] + [404] * 9
    assert visitor.get(f"/picture/{foreign['trial']}").status_code == 404
    assert not {trial.token for trial in store.window(2, 14)} & {trial.token for trial in later}


def test_steps_cannot_be_skipped(store, visitor):
    before = rows(store)
    for action, body in (("check", FACTS), ("answers", ANSWERS), ("calibrated", {}), ("undo", {})):
        assert visitor.post(action, body).status_code == 409
    assert visitor.get("/example/0").status_code == 404
    assert visitor.post("consent", {"language": "fr"}).status_code == 422
    assert rows(store) == before


@pytest.mark.parametrize(
    "answers",
    [
        {"age": 17, "glasses": 0},
        {"age": 30.5, "glasses": 0},
        {"glasses": 2},
        {"glasses": True},
        {"age": 30},
        {"glasses": 0, "field": "x" * 501},
        {"glasses": 0, "field": "zero\0byte"},
        {"glasses": 0, "name": "an answer to no question"},
        {"glasses": 0, "sight_acuity": "7/7"},  # not switched on
        ["glasses"],
    ],
)
def test_impossible_answers(store, visitor, answers):
    visitor.post("consent", {"language": "en"})
    visitor.post("check", FACTS)
    before = rows(store)
    assert visitor.post("answers", answers).status_code == 422
    assert rows(store) == before


def test_undo(store, visitor):
    first = visitor.start()["trial"]
    assert not first["undo"]
    second = visitor.rate(first["trial"], 5).json()["trial"]
    assert second["undo"]
    back = visitor.post("undo", {"trial": second["trial"]}).json()
    assert back["progress"]["done"] == 0
    assert not back["trial"]["undo"]
    # The same request again, as after a lost answer, and an old copy of the rating.
    assert visitor.post("undo", {"trial": second["trial"]}).status_code == 409
    assert visitor.rate(first["trial"], 5).status_code == 404
    assert visitor.rate(back["trial"]["trial"], 1).status_code == 200
    assert [rating["score"] for rating in store.ratings()] == [1]


def test_undo_only_where_the_study_allows_it(tmp_path):
    store = make_study(tmp_path, undo=False)
    visitor = Visitor(TestClient(create_app(store)), store.add_rater())
    state = visitor.rate(visitor.start()["trial"]["trial"]).json()
    assert not state["trial"]["undo"]
    assert visitor.post("undo", {"trial": state["trial"]["trial"]}).status_code == 409
    store.close()


def test_paused_and_closed(store, visitor):
    trial = visitor.start()["trial"]["trial"]
    store.set_state("paused")
    assert visitor.state()["stage"] == "paused"
    assert visitor.rate(trial).status_code == 409
    store.set_state("open")
    assert visitor.rate(trial).status_code == 200
    store.set_state("closed")
    assert visitor.state()["stage"] == "closed"
    answer = visitor.rate(store.current_trial(1).token)
    assert answer.status_code == 410
    assert answer.json()["state"]["stage"] == "closed"
    assert visitor.get(f"/picture/{trial}").status_code == visitor.get("/example/0").status_code == 410
    assert len(list(store.ratings())) == 1


def test_unknown_huge_and_foreign_requests(store, client, visitor):
    trial = visitor.start()["trial"]["trial"]
    before = rows(store)
    stranger = Visitor(client, "x" * 32)
    assert stranger.get().status_code == stranger.get("/state").status_code == 404
    assert stranger.get(f"/picture/{trial}").status_code == stranger.rate(trial).status_code == 404
    for token in ("'; DROP TABLE rater; --", "%00", "ü", "a" * 5000):
        assert Visitor(client, token).get("/state").status_code == 404
    assert visitor.post("rate", {"trial": trial, "score": 3}, headers={}).status_code == 403  # another site's form
    assert visitor.post("rate", {"trial": "x" * MAX_BODY_BYTES}).status_code == 413
    chunks = (b" " * 1000 for _ in range(100))  # of a length that no header tells
    path = f"/s/{visitor.token}/rate"
    assert client.post(path, content=chunks, headers={"X-Study": "1"}).status_code == 413
    for body in (b"", b"{", b"\xff\xfe", b"[" * 10_000, b'{"trial": NaN}'):
        assert client.post(path, content=body, headers={"X-Study": "1"}).status_code == 422
    assert visitor.post("grant").status_code == 404
    assert rows(store) == before
    assert len(refusals(store)) == 4 + 4 + 1 + 2 + 5 + 1
    assert not any(trial in str(refusal) or visitor.token in str(refusal) for refusal in refusals(store))


def test_many_forged_requests_do_not_fill_the_log_nor_lock_out_the_entitled(store):
    client = TestClient(create_app(store))
    visitor, stranger = Visitor(client, store.add_rater()), Visitor(client, "x" * 32)
    codes = [stranger.get("/state").status_code for _ in range(60)]
    assert codes[0] == 404
    assert codes[-1] == 429
    assert len(refusals(store)) == codes.count(404) < 40
    assert visitor.start()["stage"] == "trial"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=8,
)
KEYS = ("language", "trial", "score", "visible_ms", "hidden_ms", "client", "age", "glasses", *FACTS)


@pytest.fixture(scope="module")
def attacked(tmp_path_factory):
    """A study with a rater before the first trial: every request that is not refused would change something."""
    store = make_study(tmp_path_factory.mktemp("attacked"))
    visitor = Visitor(TestClient(create_app(store, UNLIMITED)), store.add_rater())
    visitor.start()
    yield store, visitor
    store.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    action=st.sampled_from(["consent", "check", "answers", "calibrated", "rate", "undo", "resume"]),
    body=st.binary(max_size=40)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(st.sampled_from(KEYS), JSON, min_size=1).map(lambda value: json.dumps(value).encode()),
)
def test_whatever_is_sent_is_refused_and_changes_nothing(attacked, action, body):
    store, visitor = attacked
    before, logged = rows(store), len(refusals(store))
    answer = visitor.client.post(f"/s/{visitor.token}/{action}", content=body, headers={"X-Study": "1"})
    if answer.status_code == 200:
        # An empty object is right for these two, and repeats a step that was done; nothing is to be answered again.
        assert json.loads(body) == {} or action == "consent"
        assert rows(store)["rating"] == before["rating"]
    else:
        assert answer.status_code in (409, 422)
        assert rows(store) == before
        assert len(refusals(store)) == logged + 1


def test_headers(store, client, visitor):
    state = visitor.start()
    paths = [
        f"/s/{visitor.token}{path}" for path in ("", "/state", f"/picture/{state['trial']['trial']}", "/example/0")
    ]
    for path in (*paths, "/pages/rater.js", "/s/unknown", "/nowhere"):
        headers = client.get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
    picture = client.get(paths[2]).headers
    # What two raters could compare, or a shared cache keep.
    assert not {"etag", "last-modified", "content-disposition", "set-cookie"} & set(picture)
    assert picture["cache-control"].startswith("private")
    assert picture["content-type"] == "image/png"
    assert client.get(paths[1]).headers["cache-control"] == "no-store"


def test_an_open_study_takes_raters_up_to_its_quota(store, client):
    links = set()
    for _ in range(3):
        looked = client.get("/join")  # takes no place
        assert looked.status_code == 200
        assert load_texts()["de"]["join_title"] in looked.text
        answer = client.post("/join", follow_redirects=False)
        assert answer.status_code == 303
        links.add(answer.headers["location"])
        assert client.get("/join".replace("join", answer.headers["location"])).status_code == 200
    assert len(links) == 3
    for full in (client.get("/join"), client.post("/join")):
        assert full.status_code == 410
        assert load_texts()["en"]["full_title"] in full.text
    assert len(rows(store)["rater"]) == 3


def test_a_study_by_invitation_cannot_be_joined(tmp_path):
    store = make_study(tmp_path, open=None)
    client = TestClient(create_app(store))
    assert client.get("/join").status_code == client.post("/join").status_code == 410
    store.close()


def test_every_language_has_every_sentence():
    english = load_texts()["en"]
    assert len(load_texts()) >= 2
    for words in load_texts().values():
        assert words.keys() == english.keys()
        for key, sentence in words.items():
            assert set(re.findall(r"\{\w+\}", str(sentence))) == set(re.findall(r"\{\w+\}", str(english[key]))), key
    assert [preferred_language(text) for text in ("de-AT,en;q=0.5", "fr, de;q=0.8", "fr", "")] == [
        "de",
        "de",
        "en",
        "en",
    ]


def test_the_page_speaks_the_browsers_language_until_the_rater_has_chosen(client, visitor):
    def language() -> str:
        page = client.get(f"/s/{visitor.token}", headers={"Accept-Language": "de-DE"}).text
        return re.search(r'<html lang="(\w+)"', page).group(1)

    assert language() == "de"
    visitor.post("consent", {"language": "en"})
    assert language() == "en"
