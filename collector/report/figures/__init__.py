"""Figures of a report, computed purely: from the days of each account to everything that is shown."""
