"""Stored figures for people who look at them: files for spreadsheets, pages, workbooks and pictures."""
