"""Statistics of a rating test: pure functions on one ratings table, each standard a function with its source cited.

A ratings table has a row per rating and at least the columns rater, dataset, image, method, phase, score.
"""

from mos_study.statistics.cube import ScoreCube, score_cubes
from mos_study.statistics.intervals import (
    CONFIDENCE,
    bootstrap_interval,
    iid_interval,
    mean_opinion,
    raters_images_interval,
    raters_interval,
)
from mos_study.statistics.mos import INTERVALS, image_table, mos_table, rank_table, score_counts
from mos_study.statistics.omnibus import friedman_table, nemenyi_table
from mos_study.statistics.pairs import UNITS, ZEROS, pair_table
from mos_study.statistics.reliability import icc, krippendorff_alpha, reliability, retest, sos
from mos_study.statistics.screening import RULES, Flag, screen, without
from mos_study.statistics.subjects import alternating_projection, bias_removal, rater_table, remove_bias

__all__ = [
    "CONFIDENCE",
    "INTERVALS",
    "RULES",
    "UNITS",
    "ZEROS",
    "Flag",
    "ScoreCube",
    "alternating_projection",
    "bias_removal",
    "bootstrap_interval",
    "friedman_table",
    "icc",
    "iid_interval",
    "image_table",
    "krippendorff_alpha",
    "mean_opinion",
    "mos_table",
    "nemenyi_table",
    "pair_table",
    "rank_table",
    "rater_table",
    "raters_images_interval",
    "raters_interval",
    "reliability",
    "remove_bias",
    "retest",
    "score_counts",
    "score_cubes",
    "screen",
    "sos",
    "without",
]
