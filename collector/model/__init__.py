"""Frozen values that pass between the rooms."""
