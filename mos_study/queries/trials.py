"""Trials and their ratings. A rater's ratings have no gap: those of the positions below `rater.done`."""

import secrets
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Integer, and_, bindparam, delete, func, insert, select, update

from mos_study.queries.base import Queries, add_event, now
from mos_study.queries.raters import lock_rater, trials_of_rater
from mos_study.records import PlannedTrial, RateResult, Trial
from mos_study.tables import EventTable, RaterTable, RatingTable, StimulusTable, TrialTable
from sr.errors import SRError

Plan = Callable[[dict[int, int]], Sequence[PlannedTrial]]


_OF_RATER = TrialTable.rater_id == bindparam("rater")

# The columns of `Trial`.
_TRIALS = (
    select(
        TrialTable.id,
        TrialTable.token,
        TrialTable.position,
        TrialTable.phase,
        TrialTable.session,
        TrialTable.shown_at.is_not(None),
        TrialTable.stimulus_id,
        StimulusTable.sha256,
        StimulusTable.width,
        StimulusTable.height,
        trials_of_rater(),
        RaterTable.done,
    )
    .join(StimulusTable, StimulusTable.id == TrialTable.stimulus_id)
    .join(RaterTable, RaterTable.id == TrialTable.rater_id)
    .where(_OF_RATER)
    .order_by(TrialTable.position)
)
_WINDOW = _TRIALS.where(
    TrialTable.position >= RaterTable.done, TrialTable.position < RaterTable.done + bindparam("n", type_=Integer)
)
_BY_TOKEN = _TRIALS.where(TrialTable.token == bindparam("token"))

_TO_RATE = (
    select(TrialTable.id, TrialTable.position, TrialTable.session, RaterTable.done)
    .join(RaterTable, RaterTable.id == TrialTable.rater_id)
    .where(_OF_RATER, TrialTable.token == bindparam("token"))
    .with_for_update(of=RaterTable)
)
_ADD_RATING = insert(RatingTable)
_SET_DONE = update(RaterTable).where(RaterTable.id == bindparam("rater")).values(done=bindparam("new_done"))
_MARK_SHOWN = update(TrialTable).where(_OF_RATER, TrialTable.shown_at.is_(None)).values(shown_at=bindparam("now"))
_MARK_THIS = _MARK_SHOWN.where(TrialTable.token == bindparam("trial"))
_MARK_NEXT = _MARK_SHOWN.where(
    TrialTable.position == bindparam("next_position"), TrialTable.session == bindparam("same_session")
)

_MAIN_COUNTS = (
    select(StimulusTable.id, func.count(TrialTable.id))
    .outerjoin(TrialTable, and_(TrialTable.stimulus_id == StimulusTable.id, TrialTable.phase == "main"))
    .group_by(StimulusTable.id)
)


class TrialQueries(Queries):
    def main_counts(self) -> dict[int, int]:
        """How many raters were given each stimulus in the main part, by the stimulus's id; rated or still open."""
        with self._database.reading() as connection:
            return _main_counts(connection)

    def assign_trials(self, rater_id: int, trials: Sequence[PlannedTrial] | Plan) -> None:
        """Stores a rater's order, once: does nothing for a rater who has one.

        Args:
            trials: the trials in order, or, where each rater gets a share, a function from `main_counts()` to them.
                It runs inside the transaction, so that no two raters get their share by the same counts.
        """
        with self._database.writing() as connection:
            if callable(trials):
                self._database.lock_study(connection)
            lock_rater(connection, rater_id)
            if connection.execute(select(TrialTable.id).where(TrialTable.rater_id == rater_id).limit(1)).first():
                return
            planned = trials(_main_counts(connection)) if callable(trials) else trials
            rows = [trial_values(rater_id, position, trial) for position, trial in enumerate(planned)]
            connection.execute(insert(TrialTable), rows)
            add_event(connection, "assigned", rater_id, trials=len(rows))

    def window(self, rater_id: int, n: int = 2) -> list[Trial]:
        """The trial to be rated now and those after it, `n` in all or fewer at the end."""
        with self._database.reading() as connection:
            return [Trial(*row) for row in connection.execute(_WINDOW, {"rater": rater_id, "n": n})]

    def current_trial(self, rater_id: int) -> Trial | None:
        """The trial to be rated now; None when all are rated, or none is assigned."""
        return next(iter(self.window(rater_id, 1)), None)

    def trial_by_token(self, rater_id: int, token: str) -> Trial | None:
        with self._database.reading() as connection:
            row = connection.execute(_BY_TOKEN, {"rater": rater_id, "token": token}).first()
        return Trial(*row) if row else None

    def mark_shown(self, rater_id: int, token: str) -> None:
        """Notes that the trial was given to its rater to be rated, unless it was before.

        `rate` does so for the next trial of the same session, which follows at once.
        """
        with self._database.writing() as connection:
            connection.execute(_MARK_THIS, {"rater": rater_id, "trial": token, "now": now()})

    def rate(
        self,
        rater_id: int,
        token: str,
        score: int,
        visible_ms: int,
        hidden_ms: int,
        client: dict[str, Any] | None = None,
    ) -> RateResult:
        """Rates the rater's current trial; any other leaves everything as it is. When this returns, it is on disk.

        Args:
            token: the trial's.
            score: 1 (bad) to 5 (excellent).
            visible_ms: from the picture's appearance to the rating, without `hidden_ms`.
            hidden_ms: how much longer it took because the page was out of sight.
            client: facts about the browser, see `mos_study.records.CLIENT_FACTS`.
        """
        if score not in (1, 2, 3, 4, 5):
            raise SRError(f"A score of {score!r} is impossible: expected 1, 2, 3, 4 or 5")
        if min(visible_ms, hidden_ms) < 0:
            raise SRError(f"Times must not be negative, but are {visible_ms} ms visible and {hidden_ms} ms hidden")
        with self._database.writing() as connection:
            trial = connection.execute(_TO_RATE, {"rater": rater_id, "token": token}).first()
            if trial is None:
                return RateResult.UNKNOWN
            if trial.position < trial.done:
                return RateResult.REPEATED
            if trial.position > trial.done:
                return RateResult.NOT_CURRENT
            rated_at = now()
            rating = {
                "trial_id": trial.id,
                "score": score,
                "visible_ms": visible_ms,
                "hidden_ms": hidden_ms,
                "rated_at": rated_at,
                "client": client,
            }
            connection.execute(_ADD_RATING, rating)
            connection.execute(_SET_DONE, {"rater": rater_id, "new_done": trial.done + 1})
            following = {"next_position": trial.position + 1, "same_session": trial.session}
            connection.execute(_MARK_NEXT, {"rater": rater_id, "now": rated_at, **following})
            return RateResult.ACCEPTED

    def undo(self, rater_id: int) -> Trial | None:
        """Takes the last rating back; its trial is the current one again and is returned.

        None when there is nothing to take back: no rating, a finished rater, or one who would go back a second step.
        The trial gets a new token, so that a late copy of the old request cannot rate it.
        """
        with self._database.writing() as connection:
            rater = lock_rater(connection, rater_id)
            position = rater.done - 1
            if position < max(0, _last_undone(connection, rater_id)) or rater.completion_code is not None:
                return None
            old = connection.execute(
                select(
                    RatingTable.id,
                    RatingTable.trial_id,
                    RatingTable.score,
                    RatingTable.visible_ms,
                    RatingTable.hidden_ms,
                )
                .join(TrialTable, TrialTable.id == RatingTable.trial_id)
                .where(TrialTable.rater_id == rater_id, TrialTable.position == position)
            ).one()
            connection.execute(delete(RatingTable).where(RatingTable.id == old.id))
            connection.execute(update(TrialTable).where(TrialTable.id == old.trial_id).values(token=_new_token()))
            connection.execute(_SET_DONE, {"rater": rater_id, "new_done": position})
            add_event(
                connection,
                "undo",
                rater_id,
                position=position,
                score=old.score,
                visible_ms=old.visible_ms,
                hidden_ms=old.hidden_ms,
            )
            return Trial(*connection.execute(_WINDOW, {"rater": rater_id, "n": 1}).one())


def trial_values(rater_id: int, position: int, trial: PlannedTrial) -> dict[str, Any]:
    """A new row of the trials' table, with a token of its own."""
    return {
        "rater_id": rater_id,
        "position": position,
        "phase": trial.phase,
        "repeat": trial.repeat,
        "session": trial.session,
        "stimulus_id": trial.stimulus_id,
        "token": _new_token(),
    }


def _main_counts(connection: Connection) -> dict[int, int]:
    return {row[0]: row[1] for row in connection.execute(_MAIN_COUNTS)}


def _last_undone(connection: Connection, rater_id: int) -> int:
    """The position of the last rating that was taken back; -1 without one."""
    undone = (EventTable.rater_id == rater_id, EventTable.kind == "undo")
    data = connection.scalar(select(EventTable.data).where(*undone).order_by(EventTable.id.desc()).limit(1))
    return data["position"] if data else -1


def _new_token() -> str:
    return secrets.token_urlsafe(16)
