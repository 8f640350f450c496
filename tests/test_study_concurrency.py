"""Many raters at once: several processes, each with many threads, on one database."""

import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context

import pytest

from mos_study.records import PlannedTrial, StimulusRow
from mos_study.store import Store
from tests.postgres import DATABASES, new_url

TRIALS = 10
STIMULI = [StimulusRow("Set5", f"image{i}", "srgan", f"{i}" * 64, 8, 8) for i in range(TRIALS)]


@pytest.fixture(params=DATABASES)
def url(request, tmp_path):
    return new_url(request.param, tmp_path)


def prepared(url: str) -> Store:
    store = Store.open(url)
    store.prepare_study("{}", "f", "Study", 1, STIMULI)
    return store


def raters_with_trials(store: Store, raters: int) -> list[int]:
    trials = [PlannedTrial(stimulus.id, "main", 0, 0) for stimulus in store.stimuli()]
    ids = [store.rater(store.add_rater()).id for _ in range(raters)]
    for rater_id in ids:
        store.assign_trials(rater_id, trials)
    return ids


def together(work, arguments) -> list:
    """Calls `work` with each argument, in as many threads that start at the same moment."""
    barrier = threading.Barrier(len(arguments))

    def one(argument):
        barrier.wait()
        return work(argument)

    with ThreadPoolExecutor(len(arguments)) as pool:
        return list(pool.map(one, arguments))


def rate_all(store: Store, rater_id: int, score: int) -> int:
    """Rates as a page would that knows only the current trial; how many ratings were accepted."""
    accepted = 0
    while trial := store.current_trial(rater_id):
        accepted += store.rate(rater_id, trial.token, score, 500, 0) == "accepted"
    return accepted


def rate_in_a_process(url: str, rater_ids: list[int], score: int) -> list[int]:
    store = Store.open(url)
    try:
        return together(lambda rater_id: rate_all(store, rater_id, score), rater_ids)
    finally:
        store.close()


def test_one_of_many_equal_requests_is_accepted(url):
    store = prepared(url)
    raters = raters_with_trials(store, 5)
    requests = [(rater_id, store.current_trial(rater_id).token, score) for rater_id in raters for score in (1, 2, 3, 4)]
    results = together(lambda request: store.rate(*request, 500, 0), requests)
    assert sorted(results) == ["accepted"] * 5 + ["repeated"] * 15
    winners = {
        rater: score for (rater, _, score), result in zip(requests, results, strict=True) if result == "accepted"
    }
    assert [row["score"] for row in store.ratings()] == [winners[rater_id] for rater_id in raters]
    assert [row["done"] for row in store.progress()] == [1] * 5
    store.close()


def test_two_processes_rate_for_the_same_raters(url):
    store = prepared(url)
    raters = raters_with_trials(store, 20)
    with get_context("spawn").Pool(2) as pool:
        accepted = pool.starmap(rate_in_a_process, [(url, raters, 2), (url, raters, 4)])
    assert [sum(both) for both in zip(*accepted, strict=True)] == [TRIALS] * 20
    rows = list(store.ratings())
    assert len(rows) == 20 * TRIALS
    assert sum(row["score"] == 2 for row in rows) == sum(accepted[0])
    assert [row["done"] for row in store.progress()] == [TRIALS] * 20
    assert [row["rated"] for row in store.counts()] == [20] * TRIALS
    store.close()


def test_shares_by_the_counts_stay_balanced(url):
    store = prepared(url)
    raters = [store.rater(store.add_rater()).id for _ in range(10)]

    def least_rated(counts):
        return [PlannedTrial(stimulus, "main", 0, 0) for stimulus in sorted(counts, key=counts.get)[:3]]

    together(lambda rater_id: store.assign_trials(rater_id, least_rated), raters + raters)
    assert set(store.main_counts().values()) == {3}
    store.close()


def test_an_open_study_s_quota_holds(url):
    store = prepared(url)
    tokens = together(store.join_open, [4] * 10)
    assert sum(token is not None for token in tokens) == 4
    assert len(store.progress()) == 4
    store.close()


def test_undo_twice_at_once_is_one_step(url):
    store = prepared(url)
    (rater_id,) = raters_with_trials(store, 1)
    for _ in range(5):
        store.rate(rater_id, store.current_trial(rater_id).token, 3, 0, 0)
    undone = together(store.undo, [rater_id] * 4)
    assert [trial.position for trial in undone if trial] == [4]
    assert len(list(store.ratings())) == 4
    store.close()


def test_one_thread_s_error_leaves_the_others_writes(url):
    store = prepared(url)
    raters = raters_with_trials(store, 8)

    def one(rater_id):
        if rater_id % 2:
            with pytest.raises(RuntimeError):
                store.assign_trials(store.rater(store.add_rater()).id, broken)
            return None
        return rate_all(store, rater_id, 3)

    def broken(counts):
        raise RuntimeError("no plan")

    together(one, raters)
    assert [row["done"] for row in store.progress() if row["id"] in raters] == [0, TRIALS] * 4
    assert sum(row["total"] for row in store.progress()) == 8 * TRIALS
    store.close()


def test_processes_may_open_a_new_database_at_the_same_time(url):
    with get_context("spawn").Pool(3) as pool:
        assert pool.starmap(rate_in_a_process, [(url, [1], 3)] * 3) == [[0], [0], [0]]
