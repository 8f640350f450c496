"""python -m mos_study.prepare: from a configuration to a study that raters can begin."""

import argparse
import sys
from contextlib import closing
from hashlib import sha256
from pathlib import Path

from tqdm import tqdm

from mos_study.config import StudyConfig, load_study
from mos_study.design import check_design
from mos_study.overview import overview
from mos_study.pictures import Found, check_pictures, find_pictures
from mos_study.records import StimulusRow
from mos_study.store import DEFAULT_URL, Store
from sr.errors import SRError
from sr.files import write_atomically


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m mos_study.prepare", description="Set up a rating study")
    parser.add_argument("config", type=Path, metavar="CONFIG.yaml", help="see mos_study/configs for examples")
    parser.add_argument("--db", default=DEFAULT_URL, metavar="URL", help="the study's database (default: %(default)s)")
    parser.add_argument(
        "--stimuli", type=Path, metavar="DIR", help="folder of the pictures to show (default: beside the database)"
    )
    parser.add_argument("--check", action="store_true", help="print the counts and what is missing, and write nothing")
    args = parser.parse_args(arguments)
    try:
        config = load_study(args.config)
        found = find_pictures(config, args.config.parent)
        checked = check_pictures(tqdm(found.pictures, "checking", unit="image", leave=False))
        problems = list(dict.fromkeys(found.problems + checked))
        if args.check:
            print(overview(config, found.images, problems))
        else:
            if problems:
                raise SRError(f"{args.config}: {'; '.join(problems)}")
            prepare(config, found, args.db, args.stimuli)
    except SRError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def prepare(config: StudyConfig, found: Found, url: str, stimuli: Path | None = None) -> None:
    """Renders the stimuli and stores the study; with an equal study stored already, nothing changes.

    found: complete and checked. url, stimuli: as for `Store.open`.
    Raises SRError for a design that does not work out, and for a changed study that has ratings.
    """
    check_design(config, found.images)
    with closing(Store.open(url, stimuli)) as store:
        _refuse_early(store, config)
        rows = _render_all(found, store)
        store.prepare_study(config.canonical(), config.fingerprint(), config.name, config.seed, rows)
        print(f"{config.name}: {len(rows)} stimuli of {len(found.pictures)} images are ready in {store.folder}")


def _refuse_early(store: Store, config: StudyConfig) -> None:
    """The store refuses a changed configuration as well, but rendering takes its time."""
    study = store.study()
    if study and study.fingerprint != config.fingerprint():
        with closing(store.ratings()) as ratings:
            if next(ratings, None):
                raise SRError(
                    f"The study {study.name!r} has ratings already, so its config may no longer change:"
                    " prepare the new study with another --db"
                )


def _render_all(found: Found, store: Store) -> list[StimulusRow]:
    from mos_study.rendering import load_upscalers, render

    upscalers = load_upscalers(found.pictures)
    rows = []
    total = sum(len(picture.methods) for picture in found.pictures)
    with tqdm(total=total, desc="rendering", unit="stimulus") as bar:
        for picture in found.pictures:
            for made in render(picture, upscalers):
                name = sha256(made.png).hexdigest()
                if not store.picture(name).is_file():
                    write_atomically(store.picture(name), lambda path, png=made.png: path.write_bytes(png))
                rows.append(StimulusRow(picture.dataset, picture.image, made.method, name, made.width, made.height))
                bar.update()
    return rows


if __name__ == "__main__":
    sys.exit(main())
