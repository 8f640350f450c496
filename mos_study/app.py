"""python -m mos_study.app: serve the study to raters and experimenters."""

import argparse
import contextlib
import os
import secrets
import socket
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mos_study.store import Store

# Read by Gradio when it is imported: it would otherwise ask its makers for its newest version.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

SECRET_VARIABLE = "MOS_EXPERIMENTER_SECRET"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m mos_study.app",
        description="Serve a prepared study. Several of these may serve one PostgreSQL database behind a proxy.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--db", default="sqlite:///study/study.db", metavar="URL", help="database of the study")
    parser.add_argument(
        "--stimuli", type=Path, metavar="DIR", help="folder of the pictures (default: beside the database)"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 lets other machines in")
    parser.add_argument("--port", type=int, default=7861, help="port to listen on")
    parser.add_argument(
        "--base-url", metavar="URL", help="how browsers reach the study, such as https://study.example.org"
    )
    args = parser.parse_args(arguments)

    from mos_study.store import Store
    from sr.errors import SRError

    try:
        store = Store.open(args.db, args.stimuli)
        try:
            _serve(store, args)
        finally:
            store.close()
    except SRError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _serve(store: "Store", args: argparse.Namespace) -> None:
    from mos_study.config import config_from_json

    open_study = config_from_json(store.require_study().config).open is not None

    import uvicorn  # these take seconds, an error above does not

    from mos_study.experimenter import mount_experimenter
    from mos_study.server import EXPERIMENTER, create_app

    listener = _listen(args.host, args.port)
    secret = experimenter_secret(store.folder.parent)
    app = mount_experimenter(create_app(store), store, secret)
    base = (args.base_url or f"http://{_shown(args.host)}:{listener.getsockname()[1]}").rstrip("/")
    print(f"Raters:       {base}/join" if open_study else "Raters:       links from python -m mos_study.invite")
    print(f"Experimenter: {base}{EXPERIMENTER}/login#{secret}")
    print("Ctrl+C ends it; what was rated is kept.", flush=True)
    # No log of requests: their addresses hold the raters' tokens.
    # Raters pause for longer than uvicorn's own 5 seconds.
    config = uvicorn.Config(app, access_log=False, server_header=False, log_level="warning", timeout_keep_alive=75)
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])


def experimenter_secret(folder: Path) -> str:
    """The secret of the experimenter's page: from the environment, or kept in `folder` for the owner alone."""
    if given := os.environ.get(SECRET_VARIABLE):
        return given
    file = folder / "experimenter.secret"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=folder, encoding="utf-8") as made:  # mode 0600
            made.write(secrets.token_urlsafe(24) + "\n")
            made.flush()
            # Of several processes that start together, the first one's secret stays.
            with contextlib.suppress(FileExistsError):
                os.link(made.name, file)
    return file.read_text(encoding="utf-8").strip()


def _listen(host: str, port: int) -> socket.socket:
    from sr.errors import SRError

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()  # from the moment when the links are printed, they work
    except OSError as error:
        listener.close()
        raise SRError(f"Cannot listen on {host}, port {port} ({error.strerror}); choose another --port") from error
    return listener


def _shown(host: str) -> str:
    """The host as this machine's browser reaches it."""
    if host in ("0.0.0.0", "::"):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


if __name__ == "__main__":
    sys.exit(main())
