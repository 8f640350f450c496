"""The order of a rater's trials, from the outside: what `plan_trials` promises for designs of any size."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mos_study.config import HR, DatasetConfig, MethodConfig, RetestConfig, SessionsConfig, StudyConfig, load_study
from mos_study.design import RETEST_DISTANCE, check_design, imagined_stimuli, plan_trials
from mos_study.records import CALIBRATION_DATASET
from sr.errors import SRError
from tests.test_study_config import CONFIGS

PAPER_IMAGES = {"Set5": 5, "Set14": 14, "BSD100": 100, CALIBRATION_DATASET: 20}
DEMO = load_study(CONFIGS / "demo.yaml")


def design(methods: dict[str, int], session_trials: int = 1000, **changes) -> StudyConfig:
    """A study of data sets with so many methods each."""
    datasets = tuple(
        DatasetConfig(name=name, hr="hr", methods=tuple(MethodConfig(name=f"m{n}", folder="f") for n in range(count)))
        for name, count in methods.items()
    )
    calibration = replace(DEMO.calibration, practice=changes.pop("practice", 0))
    sessions = SessionsConfig(trials=session_trials)
    return replace(DEMO, datasets=datasets, calibration=calibration, sessions=sessions, **changes)


def look(config, images, seed="a rater", counts=None):
    """The rater's trials, each with its stimulus."""
    stimuli = imagined_stimuli(config, images)
    by_id = {stimulus.id: stimulus for stimulus in stimuli}
    return [(trial, by_id[trial.stimulus_id]) for trial in plan_trials(config, stimuli, counts or {}, seed)]


def rated(trials):
    return [(trial, stimulus) for trial, stimulus in trials if trial.phase != "calibration"]


def assert_rules(trials):
    """What holds in every order."""
    for (_, a), (_, b) in pairwise(trials):
        assert (a.dataset, a.image) != (b.dataset, b.image)
    first = {}
    for place, (trial, stimulus) in enumerate(rated(trials)):
        if trial.phase == "retest":
            assert trial.repeat == 1
            assert place - first[stimulus.id] >= RETEST_DISTANCE
        else:
            assert (trial.phase, trial.repeat) == ("main", 0)
            assert stimulus.id not in first
            first[stimulus.id] = place


def assert_balanced(trials, pieces):
    """Of every method, and of every method on a data set, two pieces hold equally many, give or take one."""
    stimuli = [stimulus for _, stimulus in rated(trials)]
    cuts = [len(stimuli) * piece // pieces for piece in range(pieces + 1)]
    parts = [stimuli[a:b] for a, b in pairwise(cuts)]
    for kind in (lambda s: s.method, lambda s: (s.dataset, s.method)):
        counts = [Counter(map(kind, part)) for part in parts]
        for name in set(map(kind, stimuli)):
            held = [count[name] for count in counts]
            assert max(held) - min(held) <= 1, (name, held)


def test_the_papers_protocol():
    config = load_study(CONFIGS / "srgan-paper.yaml")
    trials = look(config, PAPER_IMAGES)
    main = rated(trials)
    assert len(main) == 1128
    assert Counter(stimulus.dataset for _, stimulus in main) == {"Set5": 5 * 12, "Set14": 14 * 12, "BSD100": 100 * 9}
    assert len({stimulus.id for _, stimulus in main}) == 1128
    assert_rules(trials)
    assert_balanced(trials, 4)
    sessions = [trial.session for trial, _ in main]
    assert sessions == sorted(sessions)
    assert set(Counter(sessions).values()) == {141}
    assert_balanced(trials, 4 * 8)  # the quarters of the sessions


def test_practice_comes_first():
    trials = look(load_study(CONFIGS / "srgan-paper.yaml"), PAPER_IMAGES)
    practice, rest = trials[:6], trials[6:]
    assert {trial.phase for trial, _ in practice} == {"calibration"}
    assert {stimulus.dataset for _, stimulus in practice} == {CALIBRATION_DATASET}
    assert len({stimulus.image for _, stimulus in practice}) == 6
    assert Counter(stimulus.method for _, stimulus in practice) == {"nearest": 3, HR: 3}
    assert CALIBRATION_DATASET not in {stimulus.dataset for _, stimulus in rest}
    assert practice[0][0].session == rest[0][0].session == 0


def test_the_pilot_shows_one_method_twice():
    trials = look(load_study(CONFIGS / "pilot.yaml"), {"BSD100": 10, CALIBRATION_DATASET: 20})
    again = [stimulus for trial, stimulus in trials if trial.phase == "retest"]
    assert len(rated(trials)) == 100
    assert [stimulus.method for stimulus in again] == ["srresnet"] * 10
    assert len({stimulus.image for stimulus in again}) == 10
    assert_rules(trials)
    assert_balanced(trials, 4)


def test_an_order_depends_on_the_seeds_and_the_rater_and_on_nothing_else():
    config, images = design({"A": 5, "B": 3}, practice=2), {"A": 6, "B": 4, CALIBRATION_DATASET: 2}
    stimuli = imagined_stimuli(config, images)
    order = plan_trials(config, stimuli, {}, "r001")
    assert order == plan_trials(config, stimuli[::-1], {}, "r001")
    assert order != plan_trials(config, stimuli, {}, "r002")
    assert order != plan_trials(replace(config, seed=2), stimuli, {}, "r001")


SLOW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@SLOW
@given(
    methods=st.integers(2, 12),
    images=st.lists(st.integers(3, 25), min_size=1, max_size=3),
    session=st.integers(5, 200),
    seed=st.integers(0, 9999),
)
def test_every_order_keeps_the_rules(methods, images, session, seed):
    sets = {f"D{n}": count for n, count in enumerate(images)}
    config = design(dict.fromkeys(sets, methods), session)
    trials = look(config, sets | {CALIBRATION_DATASET: 2}, seed)
    assert len(trials) == methods * sum(images)
    assert_rules(trials)
    assert_balanced(trials, 4)
    lengths = Counter(trial.session for trial, _ in trials).values()
    assert max(lengths) <= session
    assert max(lengths) - min(lengths) <= 1


@SLOW
@given(methods=st.integers(4, 12), images=st.integers(20, 40), fraction=st.floats(0.01, 0.5), seed=st.integers(0, 9999))
def test_retests_are_far_apart_and_balanced(methods, images, fraction, seed):
    config = design({"A": methods, "B": methods}, 100, retest=RetestConfig(fraction=fraction))
    trials = look(config, {"A": images, "B": images // 2, CALIBRATION_DATASET: 2}, seed)
    main = methods * (images + images // 2)
    assert Counter(trial.phase for trial, _ in trials) == +Counter(main=main, retest=round(fraction * main))
    assert_rules(trials)
    assert_balanced(trials, 4)


@SLOW
@given(methods=st.integers(1, 12), images=st.integers(2, 4), seed=st.integers(0, 9999))
def test_few_images_never_follow_themselves(methods, images, seed):
    config = design({"A": methods})
    assert_rules(look(config, {"A": images, CALIBRATION_DATASET: 2}, seed))


@SLOW
@given(share=st.integers(1, 60), raters=st.integers(1, 12), seed=st.integers(0, 9999))
def test_partial_sampling_keeps_the_counts_equal(share, raters, seed):
    images = {"A": 7, "B": 5, CALIBRATION_DATASET: 2}
    config = design({"A": 5, "B": 5}, sampling=share)
    stimuli = [stimulus for stimulus in imagined_stimuli(config, images) if stimulus.dataset != CALIBRATION_DATASET]
    counts = dict.fromkeys((stimulus.id for stimulus in stimuli), 0)
    for rater in range(raters):
        trials = look(config, images, f"{seed}/{rater}", counts)
        assert_rules(trials)
        assert len(trials) == share
        for trial, _ in trials:
            counts[trial.stimulus_id] += 1
    assert max(counts.values()) - min(counts.values()) <= 1


def test_26_raters_of_a_share_of_the_papers_stimuli():
    config = replace(load_study(CONFIGS / "srgan-paper.yaml"), sampling=200)
    counts = Counter()
    for rater in range(26):
        trials = look(config, PAPER_IMAGES, rater, counts)
        assert_rules(trials)
        shares = Counter((stimulus.dataset, stimulus.method) for _, stimulus in rated(trials))
        of_bsd = [count for (dataset, _), count in shares.items() if dataset == "BSD100"]
        assert sum(of_bsd) == pytest.approx(200 * 900 / 1128, abs=2)
        assert max(of_bsd) - min(of_bsd) <= 4
        counts.update(trial.stimulus_id for trial, _ in rated(trials))
    assert len(counts) == 1128
    assert set(counts.values()) == {4, 5}


@pytest.mark.parametrize(
    ("methods", "images", "changes", "message"),
    [
        (5, 10, {"retest": RetestConfig(method="m1")}, "retest: 10 second showings"),
        (5, 8, {"retest": RetestConfig(fraction=0.1)}, "retest: 4 second showings"),
        (3, 1, {}, "would follow itself; add images"),
        (6, 1, {"sampling": 5}, "would follow itself; add images"),
        (5, 10, {"sampling": 51}, "51 trials per rater are asked for, but there are only 50 stimuli"),
        (5, 10, {"practice": 5}, "5 practice trials, but only 4 examples"),
    ],
)
def test_a_design_that_does_not_work_out_is_refused(methods, images, changes, message):
    with pytest.raises(SRError, match=message):
        check_design(design({"A": methods}, **changes), {"A": images, CALIBRATION_DATASET: 2})


@pytest.mark.parametrize("retest", [RetestConfig(method="m1"), RetestConfig(fraction=0.05), None])
def test_a_design_that_works_out_is_accepted(retest):
    check_design(design({"A": 10}, practice=4, retest=retest), {"A": 10, CALIBRATION_DATASET: 2})
