"""The tables of an analysis, as people read them."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from mos_study.analysis import Analysis
from mos_study.paper import label
from mos_study.report_formats import NONE, Column, Table, between, number, p_value
from mos_study.statistics.mos import INTERVALS

OVER = {
    "raters": "these images, other raters of the kind: Student's t over the raters' means",
    "raters+images": "other raters and other images of the kind: two-way variance components",
    "bootstrap": "other raters and other images of the kind: two-way bootstrap, percentiles",
    "iid": "as if all ratings were independent, which they are not: far too narrow, for comparison with papers that use"
    " it",
}
UNIT = {
    "rating": "Unit rating: a pair is two ratings of one rater on one image, as the paper's numbers imply; all ratings"
    " are taken for independent, so the tests speak of these raters and these images alone.",
    "image": "Unit image: a pair is two means over raters on one image; images are taken for independent.",
    "rater": "Unit rater: a pair is two means over images of one rater; raters are taken for independent.",
}
BLOCK = {
    "rating": "A block (unit rating) is one rater's ratings of one image.",
    "image": "A block (unit image) is an image, with its means over raters.",
    "rater": "A block (unit rater) is a rater, with the means over images.",
}
ZERO = {
    "pratt": "equal ratings by Pratt's method",
    "wilcox": "equal ratings left out (Wilcoxon)",
    "zsplit": "equal ratings split between both signs",
}
DATASET = Column("data set", lambda row: str(row.dataset), right=False)
METHOD = Column("method", lambda row: label(row.method), right=False)
A = Column("A", lambda row: label(row.a), right=False)
B = Column("B", lambda row: label(row.b), right=False)


def _mos(analysis: Analysis) -> Table:
    interval = analysis.choices.interval
    bias = (
        " Raters' biases are removed (ITU-T P.913, 12.4): the intervals leave out what these add with other raters."
        if analysis.choices.remove_bias
        else ""
    )
    return Table(
        "mos",
        "Mean opinion scores",
        analysis.mos,
        [
            DATASET,
            METHOD,
            Column("MOS", lambda row: number(row.mos)),
            Column("95 % interval", lambda row: between(row.low, row.high)),
            _count("n"),
            _count("raters"),
            _count("images"),
            Column("paper", lambda row: number(row.paper)),
            Column("difference", lambda row: number(row.difference)),
        ],
        f"Interval `{interval}`: {OVER[interval]}. n: ratings. paper: Ledig et al. (2017), Tables 1 and 2.{bias}",
    )


def _intervals(analysis: Analysis) -> Table:
    columns = [DATASET, METHOD, Column("MOS", lambda row: number(row.mos))]
    for place, name in enumerate(INTERVALS):
        columns.append(Column(name, lambda row, first=3 + 2 * place: between(row[first], row[first + 1])))
    ends = [f"{name}_{end}" for name in INTERVALS for end in ("low", "high")]
    remark = " ".join(f"`{name}`: {OVER[name]}." for name in INTERVALS)
    return Table(
        "intervals", "All intervals of the mean opinion scores", analysis.mos[["dataset", "method", "mos", *ends]],
        columns, remark, detail=True,
    )  # fmt: skip


def _findings(analysis: Analysis) -> Table:
    data = pd.DataFrame([vars(finding) for finding in analysis.findings])
    columns = [
        Column("data set", lambda row: row.dataset, right=False),
        Column("the paper says", lambda row: row.sentence, right=False, wide=True),
        Column("here", lambda row: row.verdict, right=False),
        Column("because", lambda row: row.reason, right=False, wide=True),
    ]
    return Table("findings", "The paper's findings", data, columns, "By p < 0.05 without correction, as in the paper.")


def _ranks(analysis: Analysis) -> Table:
    columns = [
        DATASET,
        METHOD,
        Column("average rank", lambda row: number(row.rank)),
        Column("95 % interval", lambda row: between(row.low, row.high)),
        _count("n"),
        _count("left_out", "left out"),
    ]
    remark = (
        "Ranks among all methods of the data set, of one rater on one image: 1 is the best, ties share the mean."
        " Interval over raters and images by two-way bootstrap. n: pairs of rater and image with all methods rated."
    )
    return Table("ranks", "Average ranks", analysis.ranks, columns, remark)


def _friedman(analysis: Analysis) -> Table:
    columns = [
        DATASET,
        _count("methods"),
        _count("n", "blocks"),
        _count("left_out", "left out"),
        Column("chi-squared", lambda row: number(row.statistic)),
        Column("p", lambda row: p_value(row.p)),
    ]
    remark = f"{BLOCK[analysis.choices.unit]} Degrees of freedom: one less than methods."
    return Table("friedman", "Do the methods differ at all? Friedman's test", analysis.friedman, columns, remark)


def _pairs(analysis: Analysis) -> Table:
    columns = [
        DATASET,
        A,
        B,
        _count("n"),
        _count("left_out", "left out"),
        Column("A - B", lambda row: number(row.difference)),
        Column("W", lambda row: number(row.statistic, 1)),
        Column("p", lambda row: p_value(row.p)),
        Column("p (Holm)", lambda row: p_value(row.p_holm)),
        Column("effect", lambda row: number(row.effect)),
        Column("95 % interval", lambda row: between(row.effect_low, row.effect_high)),
        Column("verdict", lambda row: row.verdict, right=False, wide=True),
    ]
    remark = (
        f"Two-sided Wilcoxon signed-rank tests, {ZERO[analysis.choices.zeros]}; p (Holm): corrected for the number"
        " of pairs of the data set. Effect: matched-pairs rank-biserial correlation, -1 to 1, above 0 where A is rated"
        f" higher; interval over raters and images by two-way bootstrap. {UNIT[analysis.choices.unit]}"
    )
    return Table("pairs", "Pairs of methods", analysis.pairs, columns, remark)


def _nemenyi(analysis: Analysis) -> Table:
    columns = [
        DATASET,
        A,
        B,
        Column("rank of A", lambda row: number(row.rank_a)),
        Column("rank of B", lambda row: number(row.rank_b)),
        Column("p", lambda row: p_value(row.p)),
    ]
    remark = f"After Friedman's test; p is corrected for the number of pairs. {BLOCK[analysis.choices.unit]}"
    return Table("nemenyi", "Nemenyi's test", analysis.nemenyi, columns, remark, detail=True)


def _reliability(analysis: Analysis) -> Table:
    figures = analysis.reliability
    none = (None, None)
    rows: list[tuple[str, Any, Any, Any]] = [
        ("ICC(2,1), one rating", figures["icc2_1"], *(figures["icc2_1_ci"] or none)),
        ("ICC(2,k), mean of the raters", figures["icc2_k"], *(figures["icc2_k_ci"] or none)),
        ("Krippendorff's alpha, ordinal", figures["krippendorff_ordinal"], *none),
        ("Krippendorff's alpha, interval", figures["krippendorff_interval"], *none),
        ("SOS parameter a", figures["sos_a"], *none),
    ]
    again = figures["retest"]
    if again:
        rows += [
            ("retest: pairs of ratings", again["n"], *none),
            ("retest: weighted kappa", again["kappa"], *none),
            ("retest: Spearman's rho", again["spearman"], *none),
            ("retest: second minus first", again["mean_difference"], *none),
            ("retest: p of the difference", again["p"], *none),
        ]
    columns = [
        Column("measure", lambda row: row.measure, right=False),
        Column("value", lambda row: str(int(row.value)) if row.measure.endswith("pairs of ratings") else _measure(row)),
        Column("95 % interval", lambda row: between(row.low, row.high)),
    ]
    retest = (
        "Retest: the second rating of a stimulus against the first; kappa with quadratic weights, Wilcoxon's"
        " signed-rank test." if again else "No stimulus was shown twice, so there is no retest."
    )  # fmt: skip
    remark = (
        f"{figures['stimuli']} stimuli, {figures['raters']} raters, {figures['missing']} ratings missing. Intervals:"
        f" {figures['icc_interval']}. SOS: variance = a (-x^2 + 6x - 5) of the mean x. {retest}"
    )
    return Table(
        "reliability", "Reliability", pd.DataFrame(rows, columns=["measure", "value", "low", "high"]), columns, remark
    )


def _measure(row: Any) -> str:
    return p_value(row.value) if row.measure.startswith("retest: p ") else number(row.value, 3)


def _screening(analysis: Analysis) -> Table:
    rules = analysis.choices.exclude
    data = pd.DataFrame([{**vars(flag), "left_out": flag.rater in analysis.excluded} for flag in analysis.flags])
    columns = [
        Column("rater", lambda row: row.rater, right=False),
        Column("rule", lambda row: row.rule, right=False),
        Column("reason", lambda row: row.reason, right=False, wide=True),
        Column("left out", lambda row: "yes" if row.left_out else "no", right=False),
    ]
    by = f"Left out: who is named by {', '.join(rules)}." if rules else "Nobody is left out without --exclude."
    return Table("screening", "Raters who need a look", data, columns, by)


def _raters(analysis: Analysis) -> Table:
    columns = [
        Column("rater", lambda row: str(row.rater), right=False),
        _count("n"),
        Column("mean", lambda row: number(row.mean)),
        Column("bias", lambda row: number(row.bias)),
        Column("se", lambda row: number(row.bias_se)),
        Column("inconsistency", lambda row: number(row.inconsistency)),
        Column("se", lambda row: number(row.inconsistency_se)),
    ]
    remark = "Alternating projection (ITU-T P.910, Annex E) over all main stimuli; se: standard error."
    return Table("raters", "Raters", analysis.raters, columns, remark, detail=True)


def _objective(analysis: Analysis) -> Table | None:
    if analysis.objective is None:
        return None
    data = analysis.mos[["dataset", "method", "mos"]].merge(analysis.objective, on=["dataset", "method"])
    columns = [
        DATASET,
        METHOD,
        Column("MOS", lambda row: number(row.mos)),
        Column("PSNR / dB", lambda row: number(row.psnr)),
        Column("SSIM", lambda row: number(row.ssim, 4)),
        Column("over", lambda row: row.over, right=False),
    ]
    return Table("objective", "Mean opinion scores beside PSNR and SSIM", data, columns)


def _images(analysis: Analysis) -> Table:
    columns = [
        DATASET,
        Column("image", lambda row: str(row.image), right=False),
        METHOD,
        Column("MOS", lambda row: number(row.mos)),
        Column("sd", lambda row: number(row.sd)),
        _count("n"),
    ]
    title = "Mean opinion scores of the stimuli"
    return Table("images", title, analysis.images, columns, "sd: over raters.", detail=True)


def _scores(analysis: Analysis) -> Table:
    counts = analysis.counts.pivot_table(index=["dataset", "method"], columns="score", values="n", sort=False)
    data = counts.astype(int).add_prefix("score_").reset_index()
    columns = [DATASET, METHOD, *(_count(name, name.removeprefix("score_")) for name in data.columns[2:])]
    return Table("score_distributions", "How often each score was given", data, columns, detail=True)


def _count(name: str, heading: str | None = None) -> Column:
    def text(row: Any) -> str:
        value = getattr(row, name)
        return NONE if pd.isna(value) else f"{int(value)}"

    return Column(heading or name, text)


TABLES: dict[str, Callable[[Analysis], Table | None]] = {
    "mos": _mos,
    "findings": _findings,
    "ranks": _ranks,
    "friedman": _friedman,
    "pairs": _pairs,
    "nemenyi": _nemenyi,
    "reliability": _reliability,
    "screening": _screening,
    "raters": _raters,
    "objective": _objective,
    "intervals": _intervals,
    "images": _images,
    "score_distributions": _scores,
}


def tables(analysis: Analysis) -> list[Table]:
    """All that have a row."""
    made = [make(analysis) for make in TABLES.values()]
    return [table for table in made if table is not None and len(table.data)]
