"""The study and its stimuli."""

from collections.abc import Sequence

from sqlalchemy import Connection, Table, delete, insert, select, update

from mos_study.queries.base import Queries, add_event, now
from mos_study.records import STATES, Stimulus, StimulusRow, Study
from mos_study.tables import (
    ImageTable,
    MethodTable,
    RaterTable,
    RatingTable,
    StimulusTable,
    StudyTable,
    TrialTable,
)
from sr.errors import SRError


class StudyQueries(Queries):
    def prepare_study(
        self, config_json: str, fingerprint: str, name: str, seed: int, stimuli: Sequence[StimulusRow]
    ) -> None:
        """Stores the study. The same study again changes nothing; another one replaces it while nobody has rated.

        Invitations outlive a replacement; the raters' orders do not.

        Raises:
            SRError: the database holds ratings of another config, or of pictures that differ from `stimuli`.
        """
        with self._database.writing() as connection:
            self._database.lock_study(connection)
            old = _study(connection)
            if old is not None:
                kept = {_row(stimulus) for stimulus in _stimuli(connection)}
                if old.fingerprint == fingerprint and kept == set(stimuli):
                    return
                if connection.execute(select(RatingTable.id).limit(1)).first():
                    raise SRError(_refusal(old, fingerprint, kept, stimuli))
                for table in (TrialTable, StimulusTable, MethodTable, ImageTable, StudyTable):
                    connection.execute(delete(table))
                connection.execute(
                    update(RaterTable).values(calibrated_at=None, finished_at=None, completion_code=None)
                )
            connection.execute(
                insert(StudyTable).values(
                    id=1,
                    name=name,
                    config=config_json,
                    fingerprint=fingerprint,
                    seed=seed,
                    state=old.state if old else "open",
                    created_at=now(),
                )
            )
            _insert_stimuli(connection, stimuli)
            add_event(connection, "prepare", fingerprint=fingerprint, stimuli=len(stimuli))

    def study(self) -> Study | None:
        with self._database.reading() as connection:
            return _study(connection)

    def require_study(self) -> Study:
        study = self.study()
        if study is None:
            raise SRError("The database holds no study: run python -m mos_study.prepare CONFIG.yaml first")
        return study

    def set_state(self, state: str) -> None:
        """Opens, pauses or closes the study, see `mos_study.records.STATES`."""
        if state not in STATES:
            raise SRError(f"A study cannot be {state!r}: expected one of {', '.join(STATES)}")
        with self._database.writing() as connection:
            connection.execute(update(StudyTable).values(state=state))
            add_event(connection, state)

    def stimuli(self) -> list[Stimulus]:
        """All stimuli, in the order in which `prepare_study` got them."""
        with self._database.reading() as connection:
            return _stimuli(connection)


def _study(connection: Connection) -> Study | None:
    table = StudyTable
    row = connection.execute(
        select(table.name, table.config, table.fingerprint, table.seed, table.state, table.created_at)
    ).first()
    return Study(*row) if row else None


def _stimuli(connection: Connection) -> list[Stimulus]:
    columns = (ImageTable.dataset, ImageTable.name, MethodTable.name, StimulusTable.sha256)
    rows = connection.execute(
        select(*columns, StimulusTable.width, StimulusTable.height, StimulusTable.id)
        .join(ImageTable, ImageTable.id == StimulusTable.image_id)
        .join(MethodTable, MethodTable.id == StimulusTable.method_id)
        .order_by(StimulusTable.id)
    )
    return [Stimulus(*row) for row in rows]


def _row(stimulus: Stimulus) -> StimulusRow:
    return StimulusRow(**{name: getattr(stimulus, name) for name in StimulusRow.__dataclass_fields__})


def _insert_stimuli(connection: Connection, stimuli: Sequence[StimulusRow]) -> None:
    images = _insert_all(connection, ImageTable.__table__, [{"dataset": s.dataset, "name": s.image} for s in stimuli])
    methods = _insert_all(connection, MethodTable.__table__, [{"name": s.method} for s in stimuli])
    rows = [
        {"image_id": image, "method_id": method, "sha256": s.sha256, "width": s.width, "height": s.height}
        for s, image, method in zip(stimuli, images, methods, strict=True)
    ]
    connection.execute(insert(StimulusTable), rows)


def _insert_all(connection: Connection, table: Table, rows: list[dict[str, str]]) -> list[int]:
    """Inserts each distinct row once; the id of every row."""
    ids: dict[tuple[str, ...], int] = {}
    for row in rows:
        if tuple(row.values()) not in ids:
            ids[tuple(row.values())] = connection.execute(insert(table).values(row)).inserted_primary_key[0]
    return [ids[tuple(row.values())] for row in rows]


def _refusal(old: Study, fingerprint: str, kept: set[StimulusRow], stimuli: Sequence[StimulusRow]) -> str:
    if old.fingerprint != fingerprint:
        what = "its config may no longer change"
    else:
        # The methods' code or weights, or the pictures' files, are others than when the study was prepared.
        row = min(kept ^ set(stimuli), key=lambda row: (row.dataset, row.image, row.method))
        what = f"its pictures may no longer change, as {row.method} of {row.dataset}/{row.image} now would"
    return f"The study {old.name!r} has ratings already, so {what}: prepare the new study with another --db"
