"""`python -m collector` is the command `collector`."""

from collector.cli.app import main

main()
