"""Ratings of artificial raters, in bulk."""

import secrets
from collections.abc import Iterable, Sequence

from sqlalchemy import insert, select

from mos_study.queries.base import Queries, add_event
from mos_study.queries.trials import trial_values
from mos_study.records import SimulatedRating
from mos_study.tables import RaterTable, RatingTable, TrialTable


class SimulationQueries(Queries):
    def add_simulated(self, sittings: Iterable[Sequence[SimulatedRating]]) -> None:
        """Adds an artificial rater for each sitting, marked as such, with its trials and ratings; all or none.

        Nobody has a link of these raters: no token belongs to their hashes.

        Args:
            sittings: each one rater's ratings, from the first to the last.
        """
        raters = 0
        with self._database.writing() as connection:
            for sitting in sittings:
                raters += 1
                start = sitting[0].shown_at
                rater = {
                    "token_hash": secrets.token_hex(32),
                    "source": "invited",
                    "created_at": start,
                    "calibrated_at": start,
                    "finished_at": sitting[-1].rated_at,
                    "done": len(sitting),
                    "simulated": True,
                }
                rater_id = connection.execute(insert(RaterTable).values(rater)).inserted_primary_key[0]
                trials = [
                    trial_values(rater_id, position, rating.trial) | {"shown_at": rating.shown_at}
                    for position, rating in enumerate(sitting)
                ]
                connection.execute(insert(TrialTable), trials)
                placed = select(TrialTable.id).where(TrialTable.rater_id == rater_id).order_by(TrialTable.position)
                ratings = [
                    {
                        "trial_id": trial_id,
                        "score": rating.score,
                        "visible_ms": rating.visible_ms,
                        "rated_at": rating.rated_at,
                    }
                    for trial_id, rating in zip(connection.scalars(placed), sitting, strict=True)
                ]
                connection.execute(insert(RatingTable), ratings)
            add_event(connection, "simulated", raters=raters)
