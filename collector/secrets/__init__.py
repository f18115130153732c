"""Secrets where they live: files, commands, addresses."""
