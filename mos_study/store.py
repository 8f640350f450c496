"""The study's store: the only way to its database.

    store = Store.open("sqlite:///study/study.db")

What it can do stands in `mos_study.queries`, what it takes and gives in `mos_study.records`.
"""

from pathlib import Path
from typing import Self

from mos_study.database import Database, open_database, parse_url
from mos_study.queries.raters import RaterQueries
from mos_study.queries.reports import ReportQueries
from mos_study.queries.simulation import SimulationQueries
from mos_study.queries.study import StudyQueries
from mos_study.queries.trials import TrialQueries

DEFAULT_URL = "sqlite:///study/study.db"
DEFAULT_FOLDER = Path("study") / "stimuli"


class Store(StudyQueries, RaterQueries, TrialQueries, ReportQueries, SimulationQueries):
    """One study: its database, and the folder with the stimuli's PNG files.

    Many threads and several processes may use one study at the same time. What a method has written is on disk when
    it returns.
    """

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self.folder = folder

    @classmethod
    def open(cls, url: str = DEFAULT_URL, stimuli: Path | None = None, migrate: bool = True) -> Self:
        """Opens the study's database, and makes it if there is none.

        Args:
            url: `sqlite:///FILE` or `postgresql+psycopg://USER:PASSWORD@HOST/DATABASE`.
            stimuli: the folder of the PNG files; without one, `stimuli` beside SQLite's file, or `study/stimuli`.
            migrate: whether to bring an older database's tables to this version; otherwise it is an error.

        Raises:
            SRError: a wrong URL, no connection, or a database of another version.
        """
        return cls(open_database(url, migrate), stimuli or _default_folder(url))

    def picture(self, sha256: str) -> Path:
        """The PNG file with this content."""
        return self.folder / f"{sha256}.png"

    def close(self) -> None:
        self._database.close()


def _default_folder(url: str) -> Path:
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        return Path(parsed.database).parent / "stimuli"
    return DEFAULT_FOLDER
