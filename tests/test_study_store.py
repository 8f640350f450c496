import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from sqlalchemy.exc import IntegrityError

from mos_study.records import PlannedTrial, StimulusRow
from mos_study.store import Store
from sr.errors import SRError
from tests.postgres import DATABASES, new_url

STIMULI = [
    StimulusRow("Set5", image, method, f"{i}{j}" * 32, 8, 6)
    for i, image in enumerate(("baby", "bird", "head"))
    for j, method in enumerate(("nearest", "srgan"))
]
CONFIG = ('{"name":"Test"}', "f" * 64, "Test", 2**40)


@pytest.fixture(params=DATABASES)
def store(request, tmp_path):
    with_study = Store.open(new_url(request.param, tmp_path), tmp_path)
    with_study.prepare_study(*CONFIG, STIMULI)
    yield with_study
    with_study.close()


def new_rater(store: Store, sessions=(0, 0, 0, 1, 1, 1)) -> int:
    """A rater who has everything before them."""
    rater_id = store.rater(store.add_rater()).id
    trials = zip(store.stimuli(), sessions, strict=True)
    store.assign_trials(rater_id, [PlannedTrial(stimulus.id, "main", 0, session) for stimulus, session in trials])
    return rater_id


def rate_next(store: Store, rater_id: int, score: int = 3) -> str:
    token = store.current_trial(rater_id).token
    assert store.rate(rater_id, token, score, 900, 0) == "accepted"
    return token


def test_the_study_and_its_stimuli_come_back_as_they_were(store):
    study = store.require_study()
    assert (study.config, study.fingerprint, study.name, study.seed) == CONFIG
    assert study.state == "open"
    assert abs(datetime.now(UTC) - study.created_at) < timedelta(minutes=1)
    rows = [StimulusRow(s.dataset, s.image, s.method, s.sha256, s.width, s.height) for s in store.stimuli()]
    assert rows == STIMULI


def test_preparing_twice_changes_nothing(store):
    rater_id = new_rater(store)
    before = (store.study(), store.stimuli(), store.current_trial(rater_id))
    store.prepare_study(*CONFIG, STIMULI)
    assert (store.study(), store.stimuli(), store.current_trial(rater_id)) == before


def test_another_config_replaces_a_study_without_ratings_and_keeps_the_invitations(store):
    token = store.add_rater()
    new_rater(store)
    store.prepare_study("{}", "0" * 64, "New", 1, STIMULI[:2])
    assert store.study().name == "New"
    assert len(store.stimuli()) == 2
    assert store.rater(token).total == 0
    assert all(row["total"] == 0 for row in store.progress())


def test_a_study_with_ratings_keeps_its_config_and_its_pictures(store):
    rate_next(store, new_rater(store))
    with pytest.raises(SRError, match="'Test' has ratings already, so its config may no longer change"):
        store.prepare_study("{}", "0" * 64, "New", 1, STIMULI)
    changed = [*STIMULI[:5], StimulusRow("Set5", "head", "srgan", "e" * 64, 8, 6)]
    with pytest.raises(SRError, match="pictures may no longer change, as srgan of Set5/head now would"):
        store.prepare_study(*CONFIG, changed)
    assert store.study().name == "Test"


def test_a_rater_is_found_by_the_link_alone_and_the_database_holds_only_its_hash(store):
    tokens = [store.add_rater() for _ in range(3)]
    assert len({token for token in tokens if len(token) >= 32}) == 3
    assert [store.rater(token).public_id for token in tokens] == ["r001", "r002", "r003"]
    for wrong in ("", "r001", tokens[0][:-1], tokens[0].swapcase()):
        assert store.rater(wrong) is None
    assert not any(token in str(store.progress()) for token in tokens)


def test_an_open_study_takes_raters_up_to_its_quota(store):
    store.add_rater()
    assert store.rater(store.join_open(2)).source == "open"
    assert store.join_open(2) is not None
    assert store.join_open(2) is None
    assert len(store.progress()) == 3


def test_what_a_rater_has_done_is_remembered(store):
    token = store.add_rater()
    rater = store.rater(token)
    assert (rater.consented, rater.answered, rater.calibrated, rater.finished) == (False, False, False, False)
    store.record_consent(rater.id, "de")
    store.record_client(rater.id, {"pixel_ratio": 1.5})
    store.record_answers(rater.id, {"age": 30})
    store.record_calibrated(rater.id)
    rater = store.rater(token)
    assert (rater.consented, rater.answered, rater.calibrated, rater.finished) == (True, True, True, False)
    assert (rater.language, rater.client, rater.total) == ("de", {"pixel_ratio": 1.5}, 0)


def test_raters_see_the_study_s_state(store):
    token = store.add_rater()
    for state in ("paused", "closed", "open"):
        store.set_state(state)
        rater = store.rater(token)
        assert (rater.paused, rater.closed) == (state == "paused", state == "closed")
    with pytest.raises(SRError, match="cannot be 'over'"):
        store.set_state("over")


def test_deleted_answers_are_gone_from_the_files_but_asked_only_once(tmp_path):
    store = Store.open(new_url("sqlite", tmp_path))
    store.prepare_study(*CONFIG, STIMULI)
    token = store.add_rater()
    rater_id = store.rater(token).id
    store.record_answers(rater_id, {"name": "Rumpelstiltskin"})
    assert any(b"Rumpelstiltskin" in path.read_bytes() for path in tmp_path.glob("study.db*"))
    store.forget_answers(rater_id)
    assert not any(b"Rumpelstiltskin" in path.read_bytes() for path in tmp_path.glob("study.db*"))
    assert store.rater(token).answered
    assert store.progress()[0]["has_answers"] is False


def test_trials_come_in_their_order_and_only_the_current_one_can_be_rated(store):
    rater_id = new_rater(store)
    stimuli = store.stimuli()
    seen = []
    for position in range(6):
        current, *after = store.window(rater_id, 2)
        assert (current.position, current.done, current.total) == (position, position, 6)
        assert (current.sha256, current.width, current.height) == (stimuli[position].sha256, 8, 6)
        for other in after:
            assert store.rate(rater_id, other.token, 5, 0, 0) == "not_current"
        seen.append(rate_next(store, rater_id, 1 + position % 5))
    assert store.current_trial(rater_id) is None
    assert len(set(seen)) == 6
    assert [row["score"] for row in store.ratings()] == [1, 2, 3, 4, 5, 1]


def test_a_repeated_rating_changes_nothing(store):
    rater_id = new_rater(store)
    token = rate_next(store, rater_id, 3)
    before = list(store.ratings())
    for score in (3, 5):
        assert store.rate(rater_id, token, score, 1, 1) == "repeated"
    assert list(store.ratings()) == before
    assert store.current_trial(rater_id).position == 1


def test_a_trial_belongs_to_its_rater(store):
    mine, other = new_rater(store), new_rater(store)
    token = store.current_trial(mine).token
    assert store.rate(other, token, 3, 0, 0) == "unknown"
    assert store.trial_by_token(other, token) is None
    assert store.trial_by_token(mine, token) == store.current_trial(mine)
    assert store.rate(mine, "forged", 3, 0, 0) == "unknown"
    assert list(store.ratings()) == []


def test_impossible_ratings_are_refused(store):
    rater_id = new_rater(store)
    token = store.current_trial(rater_id).token
    for score, visible_ms, hidden_ms in ((0, 0, 0), (6, 0, 0), (2.5, 0, 0), (3, -1, 0), (3, 0, -1)):
        with pytest.raises(SRError, match="is impossible|must not be negative"):
            store.rate(rater_id, token, score, visible_ms, hidden_ms)
    assert store.current_trial(rater_id).token == token


def test_an_order_is_assigned_once(store):
    rater_id = new_rater(store)
    before = store.window(rater_id, 6)
    store.assign_trials(rater_id, [PlannedTrial(store.stimuli()[5].id, "main", 0, 0)])
    assert store.window(rater_id, 6) == before


def test_an_order_can_follow_from_the_counts_so_far(store):
    new_rater(store)
    last = store.stimuli()[-1].id
    seen = {}

    def plan(counts):
        seen.update(counts)
        return [PlannedTrial(last, "main", 0, 0), PlannedTrial(last, "retest", 1, 0)]

    rater_id = store.rater(store.add_rater()).id
    store.assign_trials(rater_id, plan)
    assert seen == {stimulus.id: 1 for stimulus in store.stimuli()}
    assert store.main_counts() == seen | {last: 2}  # the retest does not count
    assert [row["assigned"] for row in store.counts()] == [1, 1, 1, 1, 1, 2]


def test_a_failed_plan_leaves_no_trace(store):
    rater_id = store.rater(store.add_rater()).id
    unknown_stimulus = [PlannedTrial(store.stimuli()[0].id, "main", 0, 0), PlannedTrial(999, "main", 0, 0)]
    wrong_phase = [PlannedTrial(store.stimuli()[0].id, "lunch", 0, 0)]
    for trials in (unknown_stimulus, wrong_phase):  # foreign keys and CHECK constraints are on
        with pytest.raises(IntegrityError):
            store.assign_trials(rater_id, trials)
    assert store.current_trial(rater_id) is None
    new_rater(store)
    assert len(store.progress()) == 2


def test_undo_takes_one_step_back_and_lets_no_late_request_in(store):
    rater_id = new_rater(store)
    assert store.undo(rater_id) is None
    rate_next(store, rater_id, 2)
    old_token = rate_next(store, rater_id, 4)
    again = store.undo(rater_id)
    assert again == store.current_trial(rater_id)
    assert (again.position, again.done) == (1, 1)
    assert store.undo(rater_id) is None
    assert store.rate(rater_id, old_token, 4, 0, 0) == "unknown"
    rate_next(store, rater_id, 5)
    assert [row["score"] for row in store.ratings()] == [2, 5]
    assert store.undo(rater_id).position == 1


def test_a_rater_finishes_with_one_code_when_everything_is_rated(store):
    rater_id = new_rater(store)
    for _ in range(6):
        with pytest.raises(SRError, match="is not finished"):
            store.finish(rater_id)
        rate_next(store, rater_id)
    code = store.finish(rater_id)
    assert len(code) == 8
    assert store.finish(rater_id) == code
    assert store.undo(rater_id) is None
    assert store.progress()[0]["completion_code"] == code


def test_trials_are_shown_when_they_are_given_out(store):
    rater_id = new_rater(store)
    store.mark_shown(rater_id, store.current_trial(rater_id).token)
    for position in range(4):
        if position == 3:  # after a break, when the rater asks for it
            store.mark_shown(rater_id, store.current_trial(rater_id).token)
        rate_next(store, rater_id)
    rows = list(store.ratings())
    for row, following in pairwise(rows):
        assert row["shown_at"] <= row["rated_at"] <= following["shown_at"]
    assert rows[1]["shown_at"] == rows[0]["rated_at"]
    assert rows[3]["shown_at"] > rows[2]["rated_at"]


def test_reports_tell_how_far_everyone_is(store):
    first, second = new_rater(store), new_rater(store)
    store.record_client(first, {"pixel_ratio": 2.0})
    rate_next(store, first)
    token = store.current_trial(second).token
    store.rate(second, token, 5, 700, 50, {"pixel_ratio": 1.0, "user_agent": "Browser"})
    progress = [(row["rater"], row["done"], row["total"], row["finished_at"]) for row in store.progress()]
    assert progress == [("r001", 1, 6, None), ("r002", 1, 6, None)]
    assert [row["rated"] for row in store.counts()] == [2, 0, 0, 0, 0, 0]
    rows = list(store.ratings())
    assert [row["pixel_ratio"] for row in rows] == [2.0, 1.0]
    expected = {"rater": "r002", "dataset": "Set5", "image": "baby", "method": "nearest", "phase": "main", "repeat": 0}
    expected |= {"score": 5, "order": 0, "session": 0, "visible_ms": 700, "hidden_ms": 50, "user_agent": "Browser"}
    assert expected.items() <= rows[1].items()
    assert [row["last_rated_at"] for row in store.progress()] == [row["rated_at"] for row in rows]


def test_events_take_any_facts(store):
    store.log("refused", status=404, reason="unknown trial")
    store.log("resume", new_rater(store), after=json.dumps({"days": 3}))
