"""Stored figures as rows of a file: CSV, Parquet or Excel.

`rows.py` makes the rows of an account's days, and `writers.py` chooses who writes them, a few at a time.
"""
