"""The commands: run and backfill, check, status, verify, demo."""
