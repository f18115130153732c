"""Entry point of `python -m collector`."""

from collector.cli.app import main

main()
