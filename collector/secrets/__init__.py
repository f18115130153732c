"""Secrets: files, helper commands, URLs."""
