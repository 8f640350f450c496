"""What the store takes and gives: plain records, so that the other modules know no database."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

CALIBRATION_DATASET = "<calibration>"  # the data set of the calibration's pictures
PHASES = ("calibration", "main", "retest")
STATES = ("open", "paused", "closed")
SIMULATED = "SIMULATED RATINGS"  # stands on everything made of artificial raters' ratings, see `mos_study.simulate`

# The columns of the ratings table (CSV). Client facts have the name under which the page sends them.
RATING_COLUMNS = ("rater", "dataset", "image", "method", "phase", "repeat", "score")
TIME_COLUMNS = ("order", "session", "shown_at", "rated_at", "visible_ms", "hidden_ms")
CLIENT_FACTS = (
    "pixel_ratio",
    "zoom",
    "window_width",
    "window_height",
    "screen_width",
    "screen_height",
    "user_agent",
)
COLUMNS = (*RATING_COLUMNS, *TIME_COLUMNS, *CLIENT_FACTS, "simulated")  # simulated: whether the rater is artificial


@dataclass(frozen=True)
class Study:
    name: str
    config: str  # canonical JSON
    fingerprint: str
    seed: int
    state: str  # one of STATES
    created_at: datetime


@dataclass(frozen=True)
class StimulusRow:
    """A picture as `prepare` made it; `sha256` (hex) is of the PNG file's bytes."""

    dataset: str
    image: str
    method: str
    sha256: str
    width: int
    height: int


@dataclass(frozen=True)
class Stimulus(StimulusRow):
    id: int


@dataclass(frozen=True)
class PlannedTrial:
    stimulus_id: int
    phase: str  # one of PHASES
    repeat: int  # 0, or 1 for the second showing
    session: int  # 0, 1, ...


@dataclass(frozen=True)
class SimulatedRating:
    """What an artificial rater did at a trial."""

    trial: PlannedTrial
    score: int
    visible_ms: int
    shown_at: datetime
    rated_at: datetime


@dataclass(frozen=True)
class Rater:
    id: int
    source: str  # 'invited' or 'open'
    language: str | None
    consented: bool
    answered: bool  # still true after the answers were deleted
    client: dict | None  # the last facts about the browser
    calibrated: bool
    finished: bool
    completion_code: str | None
    done: int  # trials rated so far
    total: int  # trials assigned; 0 before `assign_trials`
    study_state: str  # one of STATES

    @property
    def public_id(self) -> str:
        return public_id(self.id)

    @property
    def paused(self) -> bool:
        return self.study_state == "paused"

    @property
    def closed(self) -> bool:
        return self.study_state == "closed"


@dataclass(frozen=True)
class Trial:
    """A trial as its rater may know it, but for `stimulus_id` and `sha256`, which stay on the server."""

    id: int
    token: str
    position: int  # 0, 1, ...
    phase: str
    session: int
    shown: bool  # it was given to its rater to be rated
    stimulus_id: int
    sha256: str
    width: int
    height: int
    total: int  # trials assigned to the rater
    done: int  # trials the rater has rated


class RateResult(StrEnum):
    ACCEPTED = "accepted"
    REPEATED = "repeated"  # rated before: nothing changed, whatever the score
    NOT_CURRENT = "not_current"  # an earlier trial is to be rated first
    UNKNOWN = "unknown"  # no such trial of this rater


def public_id(rater_id: int) -> str:
    """The rater's name in exports; it opens nothing."""
    return f"r{rater_id:03d}"
