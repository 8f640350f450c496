"""What makes a rater's ratings look careless. A warning excludes nobody; it says whom to ask."""

from collections.abc import Mapping

import pandas as pd

from mos_study.statistics.screening import calibration_failed, constant, too_fast


def rater_warnings(ratings: pd.DataFrame, calibration_scores: Mapping[str, int]) -> dict[str, list[str]]:
    """Sentences about the raters that need a look; a rater without any is not there.

    These are the screening's rules that look at one rater alone and so hold while the study runs.

    Args:
        ratings: the columns rater, method, phase, score, visible_ms.
        calibration_scores: the scores with which the calibration's pictures were shown, by method.
    """
    found: dict[str, list[str]] = {}
    for flag in (*calibration_failed(ratings, calibration_scores), *constant(ratings), *too_fast(ratings)):
        found.setdefault(flag.rater, []).append(flag.reason)
    return found
