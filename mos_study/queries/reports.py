"""What the experimenter sees: progress, counts, ratings."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import and_, func, select

from mos_study.queries.base import Queries
from mos_study.queries.raters import trials_of_rater
from mos_study.records import CLIENT_FACTS, COLUMNS, public_id
from mos_study.tables import ImageTable, MethodTable, RaterTable, RatingTable, StimulusTable, TrialTable

ROWS_AT_ONCE = 1000


class ReportQueries(Queries):
    def progress(self) -> list[dict[str, Any]]:
        """One row per rater: id, rater (the public name), how far, and when (UTC datetimes or None)."""
        rater = RaterTable
        times = (rater.created_at, rater.consent_at, rater.calibrated_at, rater.finished_at)
        last = and_(TrialTable.rater_id == rater.id, TrialTable.position == rater.done - 1)
        statement = (
            select(
                rater.id,
                rater.source,
                rater.language,
                *times,
                rater.completion_code,
                rater.questions.is_not(None).label("has_answers"),
                rater.done,
                trials_of_rater().label("total"),
                rater.simulated,
                RatingTable.rated_at.label("last_rated_at"),
            )
            .outerjoin(TrialTable, last)
            .outerjoin(RatingTable, RatingTable.trial_id == TrialTable.id)
            .order_by(rater.id)
        )
        with self._database.reading() as connection:
            return [{"rater": public_id(row.id), **row._mapping} for row in connection.execute(statement)]

    def counts(self) -> list[dict[str, Any]]:
        """One row per stimulus: dataset, image, method, and of the main part the trials assigned and rated."""
        main = and_(TrialTable.stimulus_id == StimulusTable.id, TrialTable.phase == "main")
        statement = (
            select(
                ImageTable.dataset,
                ImageTable.name.label("image"),
                MethodTable.name.label("method"),
                func.count(TrialTable.id).label("assigned"),
                func.count(RatingTable.id).label("rated"),
            )
            .select_from(StimulusTable)
            .join(ImageTable, ImageTable.id == StimulusTable.image_id)
            .join(MethodTable, MethodTable.id == StimulusTable.method_id)
            .outerjoin(TrialTable, main)
            .outerjoin(RatingTable, RatingTable.trial_id == TrialTable.id)
            .group_by(StimulusTable.id, ImageTable.id, MethodTable.id)
            .order_by(StimulusTable.id)
        )
        with self._database.reading() as connection:
            return [dict(row._mapping) for row in connection.execute(statement)]

    def ratings(self) -> Iterator[dict[str, Any]]:
        """All ratings by rater and order, read while they are used: the columns of `mos_study.records`."""
        trial, rating = TrialTable, RatingTable
        names = (ImageTable.dataset, ImageTable.name, MethodTable.name, trial.phase, trial.repeat, rating.score)
        times = (trial.position, trial.session, trial.shown_at, rating.rated_at, rating.visible_ms, rating.hidden_ms)
        statement = (
            select(
                trial.rater_id,
                *names,
                *times,
                rating.client,
                RaterTable.client.label("rater_client"),
                RaterTable.simulated,
            )
            .join(trial, trial.id == rating.trial_id)
            .join(RaterTable, RaterTable.id == trial.rater_id)
            .join(StimulusTable, StimulusTable.id == trial.stimulus_id)
            .join(ImageTable, ImageTable.id == StimulusTable.image_id)
            .join(MethodTable, MethodTable.id == StimulusTable.method_id)
            .order_by(trial.rater_id, trial.position)
            .execution_options(yield_per=ROWS_AT_ONCE)
        )
        with self._database.reading() as connection:
            for rater_id, *values, facts, rater_facts, simulated in connection.execute(statement):
                facts = facts or rater_facts or {}
                row = (public_id(rater_id), *values, *(facts.get(fact) for fact in CLIENT_FACTS), simulated)
                yield dict(zip(COLUMNS, row, strict=True))
