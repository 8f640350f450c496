"""What the raters' routes refuse, that it changes nothing, and the headers of every answer."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from mos_study.security import MAX_BODY_BYTES
from mos_study.server import create_app
from tests.small_study import make_study
from tests.visitor import ANSWERS, FACTS, UNLIMITED, Visitor, refusals, rows

pytest_plugins = "tests.visitor"  # store, client, visitor


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
