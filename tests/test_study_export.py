import csv
import re
import tracemalloc
from datetime import datetime

import pytest
from sqlalchemy import create_engine, text

from mos_study import export, invite
from mos_study.records import PlannedTrial, StimulusRow
from mos_study.store import Store
from tests.postgres import DATABASES, new_url

STIMULI = [StimulusRow("Set5", "baby", "nearest", "a" * 64, 8, 8), StimulusRow("Set5", "baby", "srgan", "b" * 64, 8, 8)]


@pytest.fixture(params=DATABASES)
def url(request, tmp_path):
    url = new_url(request.param, tmp_path)
    store = Store.open(url)
    store.prepare_study("{}", "f", "Study", 1, STIMULI)
    store.close()
    return url


def with_trials(url: str, trials: int) -> tuple[Store, int]:
    store = Store.open(url)
    rater_id = store.rater(store.add_rater()).id
    stimuli = store.stimuli()
    store.assign_trials(rater_id, [PlannedTrial(stimuli[i % 2].id, "main", 0, i // 2) for i in range(trials)])
    return store, rater_id


def test_invitations_are_links_of_new_raters(url, capsys):
    base = "https://study.example.org/mos"
    for _ in range(2):
        assert invite.main(["--raters", "3", "--db", url, "--base-url", f"{base}/"]) == 0
    links = capsys.readouterr().out.split()
    assert len(set(links)) == 6
    store = Store.open(url)
    tokens = [re.fullmatch(rf"{base}/s/([\w-]{{32}})", link)[1] for link in links]
    assert [store.rater(token).public_id for token in tokens] == [f"r{i:03d}" for i in range(1, 7)]
    store.set_state("closed")
    store.close()
    assert invite.main(["--raters", "1", "--db", url]) == 2
    assert "The study is closed" in capsys.readouterr().err


def test_the_export_has_every_rating_with_its_circumstances(url, tmp_path, capsys):
    store, rater_id = with_trials(url, 4)
    for score, agent in ((5, "Mozilla/5.0 (X11), Gecko"), (1, '=cmd|"/c calc"!A1')):
        trial = store.current_trial(rater_id)
        store.mark_shown(rater_id, trial.token)
        store.rate(rater_id, trial.token, score, 1234, 56, {"pixel_ratio": 1.25, "zoom": 100, "user_agent": agent})
    store.close()
    out = tmp_path / "new" / "ratings.csv"
    assert export.main(["-o", str(out), "--db", url]) == 0
    assert "2 ratings" in capsys.readouterr().out
    with open(out, newline="") as file:
        rows = list(csv.DictReader(file))
    assert ",".join(rows[0]).startswith(
        "rater,dataset,image,method,phase,repeat,score,order,session,shown_at,rated_at,"
    )
    expected = {"rater": "r001", "dataset": "Set5", "image": "baby", "method": "nearest", "phase": "main"}
    expected |= {"repeat": "0", "score": "5", "order": "0", "session": "0", "visible_ms": "1234", "hidden_ms": "56"}
    expected |= {
        "pixel_ratio": "1.25",
        "zoom": "100",
        "window_width": "",
        "user_agent": "Mozilla/5.0 (X11), Gecko",
        "simulated": "false",
    }
    assert expected.items() <= rows[0].items()
    shown, rated = (datetime.fromisoformat(rows[0][column]) for column in ("shown_at", "rated_at"))
    assert shown <= rated
    assert rated.utcoffset().total_seconds() == 0
    assert rows[1]["user_agent"].startswith("'=")  # no formula for a spreadsheet
    assert [path.name for path in out.parent.iterdir()] == ["ratings.csv"]


def test_a_long_export_needs_little_memory(url, tmp_path):
    rows = 20_000
    store, _ = with_trials(url, rows)
    engine = create_engine(url)
    with engine.begin() as connection:
        columns = "(trial_id, score, visible_ms, hidden_ms, rated_at)"
        connection.execute(text(f"INSERT INTO rating {columns} SELECT id, 3, 900, 0, '2026-01-01 00:00:00' FROM trial"))
    engine.dispose()
    tracemalloc.start()
    assert export.export_ratings(store, tmp_path / "ratings.csv") == rows
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    store.close()
    assert peak < 100 * rows  # bytes; all rows at once would take ten times as much


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--raters", "0"], "--raters is 0, but must be between 1 and"),
        (["--raters", "2", "--base-url", "study.example.org"], "must begin with http"),
        (["--raters", "2"], "absent.db is missing: run python -m mos_study.prepare"),
    ],
)
def test_invitations_that_cannot_be_made(tmp_path, arguments, message, capsys):
    assert invite.main([*arguments, "--db", f"sqlite:///{tmp_path}/absent.db"]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


def test_an_export_that_fails_leaves_the_older_one(tmp_path, capsys):
    out = tmp_path / "ratings.csv"
    out.write_text("older")
    Store.open(f"sqlite:///{tmp_path}/study.db").close()
    for name, message in (("absent.db", "is missing"), ("study.db", "holds no study")):
        assert export.main(["-o", str(out), "--db", f"sqlite:///{tmp_path}/{name}"]) == 2
        assert message in capsys.readouterr().err
    assert out.read_text() == "older"
