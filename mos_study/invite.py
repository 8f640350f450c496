"""`python -m mos_study.invite`: new raters, one secret link each."""

import argparse
import sys

from mos_study.store import DEFAULT_URL, Store
from sr.errors import SRError

MAX_RATERS = 10_000  # at once; more is a slip of the finger


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m mos_study.invite",
        description="Prints one new link per rater. Keep them: the database holds only their hashes.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--raters", type=int, required=True, metavar="N", help="how many raters to invite")
    parser.add_argument("--db", default=DEFAULT_URL, metavar="URL", help="the study's database")
    parser.add_argument("--base-url", default="http://127.0.0.1:7861", metavar="URL", help="where raters find the app")
    args = parser.parse_args(arguments)
    try:
        if not 1 <= args.raters <= MAX_RATERS:
            raise SRError(f"--raters is {args.raters}, but must be between 1 and {MAX_RATERS}")
        if not args.base_url.startswith(("http://", "https://")):
            raise SRError(f"--base-url is {args.base_url}, but must begin with http:// or https://")
        store = Store.open(args.db, migrate=False)
        if store.require_study().state == "closed":
            raise SRError("The study is closed: open it again on the experimenter's page before you invite raters")
        for _ in range(args.raters):
            print(f"{args.base_url.rstrip('/')}/s/{store.add_rater()}", flush=True)
        store.close()
    except SRError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
