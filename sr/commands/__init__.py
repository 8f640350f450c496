"""Sub-commands of `python -m sr`, one module each: HELP, add_arguments(parser) and run(args) -> exit code."""
