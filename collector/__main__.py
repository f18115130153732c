"""Entry point of the command `collector`, and of `python -m collector`."""

try:
    import signal
except KeyboardInterrupt:  # it takes some milliseconds
    raise SystemExit(130) from None


def main() -> None:
    """Run the command line, which ends the process."""
    # Until an event loop runs, nothing needs an end in order: Ctrl-C ends the process at once, as SIGTERM does, and not
    # with the traceback of an import. A signal that the parent process ignores stays ignored.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from collector.cli.app import main as run_command_line  # noqa: PLC0415 - not before

    run_command_line()


if __name__ == "__main__":
    main()
