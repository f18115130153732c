"""The command line: options, logging, printing and exit codes."""
