"""The paper's means and findings, on tables made for the purpose and on artificial ratings."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from mos_study.paper import LOSSES, PAPER_MOS, findings, label, ordered_datasets, ordered_methods
from mos_study.statistics.mos import mos_table
from mos_study.statistics.pairs import pair_table

LEAST = 0.0001


def mos(means: dict = PAPER_MOS) -> pd.DataFrame:
    rows = [(dataset, method, mean) for dataset, of_set in means.items() for method, mean in of_set.items()]
    return pd.DataFrame(rows, columns=["dataset", "method", "mos"])


def pairs(changed: dict | None = None) -> pd.DataFrame:
    """Every pair of the paper differs as its means do, but those in changed: {(dataset, a, b): (effect, p, p_holm)}."""
    rows = []
    for dataset, means in PAPER_MOS.items():
        for a, b in combinations(sorted(means), 2):
            usual = (0.5 if means[a] > means[b] else -0.5, LEAST, LEAST)
            rows.append((dataset, a, b, *(changed or {}).get((dataset, a, b), usual)))
    return pd.DataFrame(rows, columns=["dataset", "a", "b", "effect", "p", "p_holm"])


def check(dataset: str, changed: dict | None = None):
    """The data set's finding on pairs, which comes before that on means."""
    return next(finding for finding in findings(mos(), pairs(changed)) if finding.dataset == dataset)


def test_tables_have_the_papers_cells():
    """Table 2 has nine methods on three sets; Table 1 has five losses on two, of which two are in Table 2 as well."""
    assert {dataset: len(means) for dataset, means in PAPER_MOS.items()} == {"Set5": 12, "Set14": 12, "BSD100": 9}
    assert set(PAPER_MOS["Set5"]) - set(PAPER_MOS["BSD100"]) == set(LOSSES) - {"srresnet", "srgan"}
    # Section 3.4's and 3.5's words: what means say.
    assert max(LOSSES, key=PAPER_MOS["Set14"].get) == "srgan"
    assert max(LOSSES, key=PAPER_MOS["Set5"].get) == "srgan-vgg22"
    for means in PAPER_MOS.values():
        assert sorted(means, key=means.get)[0] == "nearest"
        assert sorted(means, key=means.get)[-1] == "hr"


def test_order_is_the_papers_and_others_follow_by_name():
    assert ordered_methods({"hr", "zssr", "srgan", "edsr", "nearest"}) == ["nearest", "srgan", "hr", "edsr", "zssr"]
    assert ordered_methods(PAPER_MOS["BSD100"]) == list(PAPER_MOS["BSD100"])
    assert ordered_datasets(["Urban100", "BSD100", "Set5", "Manga109", "Set5"]) == [
        "Set5",
        "BSD100",
        "Manga109",
        "Urban100",
    ]
    assert (label("srgan"), label("edsr")) == ("SRGAN", "edsr")


def test_no_loss_is_best_on_set5():
    """SRGAN-VGG22 beats all others in the made-up table, unless one pair does not differ."""
    best = check("Set5")
    assert best.verdict == "does not hold"
    assert best.reason.startswith("SRGAN-VGG22 is better than every other: ")
    assert "Holm's correction changes nothing" in best.reason

    tied = check("Set5", {("Set5", "srgan-mse", "srgan-vgg22"): (-0.02, 0.8, 1)})
    assert tied.verdict == "holds"
    assert "SRGAN-MSE - SRGAN-VGG22 (p = 0.8, no difference found)" in tied.reason
    assert "srgan - " not in tied.reason.lower().replace("srgan-", "")

    only_uncorrected = check("Set5", {("Set5", "srgan-mse", "srgan-vgg22"): (-0.2, 0.01, 0.2)})
    assert only_uncorrected.verdict == "does not hold"
    assert "With Holm's correction it holds; no longer differ: SRGAN-MSE - SRGAN-VGG22 (p = 0.2" in (
        only_uncorrected.reason
    )


def test_where_no_loss_beats_another_none_is_best():
    changed = {("Set5", *sorted(pair)): (0.1, 0.3, 1) for pair in combinations(LOSSES, 2)}
    changed["Set5", "srgan", "srresnet"] = (0.1, 0.07, 1)
    finding = check("Set5", changed)
    assert finding.verdict == "holds"
    assert "no loss is better than any other; the least p: SRResNet - SRGAN (p = 0.07" in finding.reason


def test_srgan_is_best_on_set14():
    best = check("Set14")
    assert best.verdict == "holds"
    assert all(f"{label(loss)} - SRGAN (p < 0.001, SRGAN higher)" in best.reason for loss in LOSSES[:-1])

    not_better = check("Set14", {("Set14", "srgan", "srgan-vgg22"): (0.1, 0.06, 0.06)})
    assert not_better.verdict == "does not hold"
    assert not_better.reason.startswith("SRGAN-VGG22 - SRGAN (p = 0.06, no difference found). ")

    # Holm's correction of pairs without SRGAN is of no matter here.
    others = check("Set14", {("Set14", "srgan-mse", "srresnet"): (0.1, 0.04, 0.4)})
    assert "Holm's correction changes nothing" in others.reason
    lost = check("Set14", {("Set14", "srgan", "srgan-vgg22"): (0.1, 0.04, 0.08)})
    assert lost.verdict == "holds"
    assert "With Holm's correction it does not hold; no longer differ: SRGAN-VGG22 - SRGAN (p = 0.08" in lost.reason

    # A significant difference of the wrong direction does not do.
    worse = check("Set14", {("Set14", "srgan", "srresnet"): (-0.4, 0.001, 0.01)})
    assert worse.verdict == "does not hold"
    assert worse.reason.startswith("SRResNet - SRGAN (p = 0.001, SRResNet higher). ")


def test_all_pairs_but_one_differ_on_bsd100():
    alike = ("BSD100", "selfexsr", "srcnn")
    all_differ = check("BSD100")
    assert all_differ.verdict == "does not hold"
    assert all_differ.reason.startswith("SRCNN - SelfExSR (p < 0.001, SelfExSR higher). ")

    as_paper = check("BSD100", {alike: (0.02, 0.4, 0.4), ("BSD100", "drcn", "espcn"): (0.1, 0.02, 0.04)})
    assert as_paper.verdict == "holds"
    assert as_paper.reason == (
        "SRCNN - SelfExSR (p = 0.4, no difference found); the largest p of the 35 others: DRCN - ESPCN (p = 0.02, "
        "DRCN higher). Holm's correction changes nothing"
    )

    lost = check("BSD100", {alike: (0.02, 0.4, 0.4), ("BSD100", "drcn", "espcn"): (0.1, 0.04, 0.08)})
    assert lost.verdict == "holds"
    assert "With Holm's correction it does not hold; no longer differ: DRCN - ESPCN (p = 0.08" in lost.reason

    none = {("BSD100", a, b): (0, 1, 1) for a, b in combinations(sorted(PAPER_MOS["BSD100"]), 2)}
    assert check("BSD100", none).reason.count("p = 1") == 5
    assert "and 30 more" in check("BSD100", none).reason


def test_srgans_mean_is_above_all_but_hr():
    found = findings(mos(), pairs())[3:]
    assert [(finding.dataset, finding.verdict) for finding in found] == [
        ("Set5", "holds"),
        ("Set14", "holds"),
        ("BSD100", "holds"),
    ]
    assert "HR 4.32, SRGAN 3.58, SRResNet 3.37" in found[0].reason
    means = {**PAPER_MOS, "Set14": {**PAPER_MOS["Set14"], "srgan": 2.0}}
    _, of_set14, _ = findings(mos(means), pairs())[3:]
    assert of_set14.verdict == "does not hold"
    assert "HR 4.32, SRResNet 2.98, DRCN 2.84, ..., SRGAN 2.00" in of_set14.reason
    equal = {**PAPER_MOS, "Set14": {**PAPER_MOS["Set14"], "srgan": PAPER_MOS["Set14"]["srresnet"]}}
    assert findings(mos(equal), pairs())[4].verdict == "does not hold"


def test_what_is_not_rated_is_said():
    assert {finding.verdict for finding in findings(mos()[:0], pairs()[:0])} == {"not rated"}

    table = pairs()
    table = table[(table["a"] != "espcn") & (table["b"] != "espcn")]
    lacking = next(finding for finding in findings(mos(), table) if finding.dataset == "BSD100")
    assert (lacking.verdict, lacking.reason) == ("not rated", "no ratings to compare of ESPCN")

    apart = check("Set14", {("Set14", "srgan", "srresnet"): (np.nan, np.nan, np.nan)})
    assert (apart.verdict, apart.reason) == ("not rated", "never rated together: SRResNet - SRGAN")


@pytest.mark.parametrize("as_categories", [False, True])
def test_findings_of_ratings(as_categories):
    """Twenty raters give each method its mean of Table 2, SRCNN and SelfExSR the same scores."""
    rng = np.random.default_rng(0)
    means = PAPER_MOS["BSD100"] | {"selfexsr": PAPER_MOS["BSD100"]["srcnn"]}
    rows = [
        (f"r{rater}", "BSD100", f"image{image}", method, "main", 0, int(mean + rng.random()))
        for rater in range(20)
        for image in range(100)
        for method, mean in means.items()
    ]
    table = pd.DataFrame(rows, columns=["rater", "dataset", "image", "method", "phase", "repeat", "score"])
    if as_categories:
        table = table.astype(dict.fromkeys(["rater", "dataset", "image", "method", "phase"], "category"))
    found = findings(mos_table(table), pair_table(table))
    assert [finding.verdict for finding in found if finding.dataset == "BSD100"] == ["holds", "holds"]
    assert {finding.verdict for finding in found if finding.dataset != "BSD100"} == {"not rated"}
