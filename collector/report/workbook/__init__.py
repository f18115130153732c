"""A report as an Excel workbook with native charts, a module for each sheet.

`book.py` has what they share, and the door to XlsxWriter; `writing.py` writes them all.
"""
