"""The raters' routes: the course of a study, and what an answer tells."""

import json
import re

from starlette.testclient import TestClient

from mos_study.server import create_app
from mos_study.texts import load_texts, preferred_language
from tests.small_study import make_study
from tests.visitor import ANSWERS, FACTS, UNLIMITED, Visitor, rows

pytest_plugins = "tests.visitor"  # store, client, visitor


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
