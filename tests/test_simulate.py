"""Artificial raters: the model against closed forms, and the command from a configuration to CSV and database."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mos_study import export, simulate
from mos_study.artificial import Raters, Spreads, draw_effects, draw_raters, draw_scores, latent_mean
from mos_study.config import load_study
from mos_study.design import RETEST_DISTANCE, plan_trials
from mos_study.paper import PAPER_MOS
from mos_study.records import CALIBRATION_DATASET, COLUMNS
from mos_study.store import Store
from sr.errors import SRError
from tests.postgres import DATABASES, new_url

CONFIGS = Path(simulate.__file__).parent / "configs"
METHODS = ("nearest", "srgan", "hr")
SMALL = {
    "name": "Small",
    "seed": 3,
    "languages": ["en"],
    "datasets": [
        {"name": "Set5", "hr": "none", "images": 3, "methods": METHODS},
        {"name": "Photos", "hr": "none", "images": ["cat", "dog"], "methods": METHODS[1:]},
    ],
    "calibration": {"hr": "none", "scores": {"nearest": 1, "hr": 5}, "practice": 3},
    "sessions": {"trials": 8, "break_minutes": 2},
}
MEANS = ("--mos", "srgan=3.25", "hr=4.5")


@pytest.fixture
def config(tmp_path):
    def write(**changes) -> str:
        file = tmp_path / "study.yaml"
        file.write_text(json.dumps({**SMALL, **changes}))
        return str(file)

    return write


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path)


@pytest.mark.parametrize("true_mean", [1.11, 2.29, 3.56, 4.46])
def test_many_raters_give_the_true_mean(true_mean):
    rng, spreads, n = np.random.default_rng(1), Spreads(), 100_000
    raters = draw_raters(rng, (n,), spreads)
    effects = draw_effects(rng, (1, 4), spreads)
    opinions = latent_mean(true_mean, spreads, effects[0]) + effects
    means = draw_scores(rng, opinions, raters)[0].mean(axis=1)
    assert means.mean() == pytest.approx(true_mean, abs=4 * means.std() / np.sqrt(n))
    # Without effects given, the true mean is that over all images: here each rater sees another one.
    raters = draw_raters(rng, (n, 1), spreads)
    opinions = latent_mean(true_mean, spreads) + draw_effects(rng, (n, 1, 1), spreads)
    scores = draw_scores(rng, opinions, raters)
    assert scores.mean() == pytest.approx(true_mean, abs=4 * scores.std() / np.sqrt(n))


def test_the_parts_of_the_model_have_the_stated_spreads():
    rng, n = np.random.default_rng(2), 200_000
    spreads = Spreads(bias=0.3, inconsistency=0.8, image=0.6, stimulus=0.1)
    raters = draw_raters(rng, (n,), spreads)
    assert (raters.bias.mean(), raters.bias.std()) == pytest.approx((0, 0.3), abs=0.003)
    assert (raters.inconsistency.mean(), raters.inconsistency.std()) == pytest.approx((0.8, 0.2), abs=0.003)
    first, second = draw_effects(rng, (2, n), spreads)
    assert (np.cov(first, second)[0, 1], (first - second).std()) == pytest.approx((0.36, 0.1 * np.sqrt(2)), abs=0.006)


def test_scores_are_rounded_and_end_with_the_scale():
    one = Raters(np.array([0.0, 0.4]), np.zeros(2))
    opinions = np.array([[-3.0, 1.4, 2.6, 9.0]])
    scores = draw_scores(np.random.default_rng(0), opinions, one)
    assert scores.tolist() == [[[1, 1, 3, 5], [1, 2, 3, 5]]]


def test_true_means_at_the_ends_of_the_scale_and_beyond():
    rng, spreads = np.random.default_rng(0), Spreads()
    raters = draw_raters(rng, (1000,), spreads)
    for end in (1, 5):
        assert set(draw_scores(rng, np.full((1, 5), latent_mean(end, spreads)), raters).ravel()) == {end}
    with pytest.raises(SRError, match="true mean of 5.2 is impossible"):
        latent_mean(5.2, spreads)


def test_a_csv_like_a_real_study_s_but_marked(tmp_path, capsys):
    paper = CONFIGS / "srgan-paper.yaml"
    out = tmp_path / "new" / "ratings.csv"
    assert simulate.main([str(paper), "--raters", "2", "-o", str(out)]) == 0
    assert "2268 simulated ratings of 2 raters" in capsys.readouterr().out
    table = read(out)
    assert tuple(table.columns) == COLUMNS
    assert table["simulated"].all()
    assert set(table["score"]) == {1, 2, 3, 4, 5}
    main = table[table["phase"] == "main"]
    assert main.groupby(["rater", "dataset"]).size().to_dict() == {
        (rater, dataset): n
        for rater in ("r001", "r002")
        for dataset, n in (("Set5", 60), ("Set14", 168), ("BSD100", 900))
    }
    config = load_study(paper)
    stimuli = simulate.simulation(config, 1).stimuli()
    for rater, mine in table.groupby("rater"):
        planned = plan_trials(config, stimuli, {}, rater)
        shown = list(mine[["dataset", "image", "method", "phase", "repeat", "session"]].itertuples(index=False))
        assert shown == [
            (s.dataset, s.image, s.method, trial.phase, trial.repeat, trial.session)
            for trial, s in ((trial, stimuli[trial.stimulus_id]) for trial in planned)
        ]
        assert mine["order"].tolist() == list(range(1134))
        times = pd.to_datetime(mine["shown_at"]), pd.to_datetime(mine["rated_at"])
        breaks = (times[0].shift(-1) - times[1]).dt.total_seconds()[:-1]
        assert sorted(set(breaks)) == [0, 600]
        assert (breaks > 0).sum() == 7


def test_practice_is_rated_about_right(config, tmp_path):
    out = tmp_path / "ratings.csv"
    assert simulate.main([config(), "--raters", "100", "-o", str(out), *MEANS]) == 0
    table = read(out)
    practice = table[table["phase"] == "calibration"]
    assert set(practice["dataset"]) == {CALIBRATION_DATASET}
    off = (practice["score"] - practice["method"].map(SMALL["calibration"]["scores"])).abs()
    assert len(off) == 300
    assert off.max() <= 1
    assert (off == 0).mean() > 0.8


def test_true_means_come_back_on_the_study_s_own_images(tmp_path):
    """The images' effects alone would move a mean over five images by 0.2."""
    out = tmp_path / "ratings.csv"
    arguments = [str(CONFIGS / "srgan-paper.yaml"), "--raters", "150", "--images", "5", "-o", str(out)]
    assert simulate.main([*arguments, "--bias", "0", "--mos", "srcnn=4", "--seed", "5"]) == 0
    main = read(out).query("phase == 'main'")
    means = main.groupby(["dataset", "method"])["score"].mean()
    assert (main.groupby(["dataset", "method"])["image"].nunique() == 5).all()
    assert len(means) == 33
    for (dataset, method), mean in means.items():
        true = 4 if method == "srcnn" else PAPER_MOS[dataset][method]
        assert mean == pytest.approx(true, abs=4 * 0.7 / np.sqrt(750))


def test_retests_are_drawn_anew_for_the_same_stimulus(tmp_path):
    out = tmp_path / "ratings.csv"
    assert simulate.main([str(CONFIGS / "pilot.yaml"), "--raters", "40", "-o", str(out)]) == 0
    table = read(out)
    key = ["rater", "dataset", "image", "method"]
    both = table[table["phase"] == "main"].merge(table[table["phase"] == "retest"], on=key, suffixes=("", "_again"))
    assert len(both) == 400
    assert ((both["repeat"] == 0) & (both["repeat_again"] == 1)).all()
    assert (both["order_again"] - both["order"]).min() >= RETEST_DISTANCE
    assert 0.3 < (both["score"] == both["score_again"]).mean() < 0.9
    assert 0.2 < both["score"].corr(both["score_again"]) < 0.95


def test_raters_get_balanced_shares(config, tmp_path):
    out = tmp_path / "ratings.csv"
    assert simulate.main([config(sampling=5), "--raters", "11", "-o", str(out), *MEANS]) == 0
    main = read(out).query("phase == 'main'")
    assert set(main.groupby("rater").size()) == {5}
    counts = main.groupby(["dataset", "image", "method"]).size()
    assert len(counts) == 13
    assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("kind", DATABASES)
def test_a_database_holds_the_same_and_says_what_it_is(kind, config, tmp_path, capsys):
    url = new_url(kind, tmp_path)
    out, exported, again = (tmp_path / name for name in ("ratings.csv", "exported.csv", "again.csv"))
    arguments = [config(retest={"method": "hr"}, datasets=[SMALL["datasets"][0] | {"images": 30}]), "--raters", "3"]
    assert simulate.main([*arguments, "-o", str(out), "--db", url, *MEANS]) == 0
    assert export.main(["-o", str(exported), "--db", url]) == 0
    assert exported.read_text() == out.read_text()
    store = Store.open(url, migrate=False)
    assert store.require_study().state == "closed"
    progress = store.progress()
    assert [(row["rater"], row["done"], row["total"]) for row in progress] == [(f"r00{n}", 123, 123) for n in (1, 2, 3)]
    assert all(row["finished_at"] for row in progress)
    assert all(rating["simulated"] for rating in store.ratings())
    # A person's ratings are none of them.
    store.add_rater()
    person = store.progress()[-1]["id"]
    store.assign_trials(person, plan_trials(load_study(arguments[0]), store.stimuli(), {}, "r004"))
    store.rate(person, store.current_trial(person).token, 3, 900, 0)
    assert [rating["simulated"] for rating in store.ratings() if rating["rater"] == "r004"] == [False]
    store.close()
    assert simulate.main([*arguments, "-o", str(again), "--db", url, *MEANS]) == 2
    assert "The database holds a study" in capsys.readouterr().err
    assert not again.exists()


def test_a_seed_gives_one_set_of_ratings(config, tmp_path):
    def ratings(*more: str) -> str:
        assert simulate.main([config(), "--raters", "3", "-o", str(tmp_path / "ratings.csv"), *MEANS, *more]) == 0
        return (tmp_path / "ratings.csv").read_text()

    first = ratings()
    assert ratings("--seed", "0") == first
    assert ratings("--seed", "1") != first
    # The first raters are the same, however many follow.
    assert ratings("--raters", "4").startswith(first)


def test_careful_raters_of_like_images_all_say_the_same(config, tmp_path):
    out = tmp_path / "ratings.csv"
    none = [word for name in ("--bias", "--image-spread", "--stimulus-spread") for word in (name, "0")]
    means = ["--mos", "nearest=1", "srgan=3", "hr=5"]
    arguments = [config(), "--raters", "5", "-o", str(out), *means, *none, "--inconsistency", "0.02"]
    assert simulate.main(arguments) == 0
    main = read(out).query("phase == 'main'")
    assert {tuple(pair) for pair in main[["method", "score"]].to_numpy()} == {("nearest", 1), ("srgan", 3), ("hr", 5)}


@pytest.mark.parametrize(
    ("changes", "arguments", "message"),
    [
        ({}, [], "Nothing to write: give -o FILE, --db URL or both"),
        ({}, ["-o"], "The paper has no mean of srgan, hr on Photos: give --mos srgan=VALUE hr=VALUE"),
        ({}, ["-o", *MEANS, "srcnn=3"], "no data set of 'Small' has the method srcnn"),
        ({}, ["-o", "--mos", "srgan=3", "hr=5.5"], "true mean of 5.5 is impossible"),
        ({}, ["-o", *MEANS, "--raters", "0"], "1 is the least"),
        ({}, ["-o", *MEANS, "--images", "0"], "1 is the least"),
        ({}, ["-o", *MEANS, "--seed", "-1"], "--seed is -1, but must be 0 or more"),
        ({}, ["-o", *MEANS, "--bias", "-1"], "spread of bias effects is -1.0, but must be 0 or more"),
        ({}, ["-o", *MEANS, "--inconsistency", "0"], "mean inconsistency is 0.0, but must be 0.01 or more"),
        ({"sampling": 14}, ["-o", *MEANS], "14 trials per rater are asked for, but there are only 13 stimuli"),
        (
            {"datasets": [{"name": "Set5", "hr": "none", "methods": METHODS}]},
            ["-o"],
            "'Small' does not say how many images Set5 has: give --images",
        ),
    ],
)
def test_simulations_that_make_no_sense(config, tmp_path, changes, arguments, message, capsys):
    out = tmp_path / "ratings.csv"
    place = [word for argument in arguments for word in ((argument, str(out)) if argument == "-o" else (argument,))]
    assert simulate.main([config(**changes), "--raters", "3", *place]) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("text", ["srgan", "=3", "srgan=good"])
def test_means_that_cannot_be_read(config, text, capsys):
    with pytest.raises(SystemExit, match="2"):
        simulate.main([config(), "--raters", "3", "--mos", text])
    assert "expected" in capsys.readouterr().err
