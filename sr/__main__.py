"""python -m sr upscale, evaluate, download, pack, export ...: the library's command line."""

import argparse
import sys

from sr.commands import (
    bench,
    blend,
    centre,
    curves,
    download,
    evaluate,
    export,
    figure,
    inspect,
    pack,
    quantize,
    render,
    upscale,
)
from sr.errors import SRError

COMMANDS = {
    "upscale": upscale,
    "evaluate": evaluate,
    "download": download,
    "figure": figure,
    "inspect": inspect,
    "render": render,
    "pack": pack,
    "curves": curves,
    "blend": blend,
    "centre": centre,
    "quantize": quantize,
    "export": export,
    "bench": bench,
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sr", description="x4 super-resolution with SRResNet and SRGAN")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        command.add_arguments(subparsers.add_parser(name, help=command.HELP, description=command.HELP))
    args = parser.parse_args(arguments)
    try:
        return COMMANDS[args.command].run(args)
    except SRError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
