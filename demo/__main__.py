"""python -m demo: serve the page."""

import argparse
import os

# Read by Gradio when it is imported: it would otherwise ask its makers for its newest version.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from demo.app import build_app, launch_options


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m demo",
        description="The web page that shows bicubic, SRResNet and SRGAN side by side",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 lets other machines in")
    parser.add_argument("--port", type=int, default=7860, help="port to listen on")
    args = parser.parse_args(arguments)
    app = build_app()
    try:
        _, url, _ = app.launch(
            server_name=args.host, server_port=args.port, prevent_thread_lock=True, quiet=True, **launch_options()
        )
    except OSError as error:
        parser.exit(2, f"error: cannot listen on {args.host}, port {args.port}; choose another --port ({error})\n")
    print(f"The page is at {url} (Ctrl+C ends it)", flush=True)
    app.block_thread()


if __name__ == "__main__":
    main()
