"""A sheet of accounts, and the folder of files that it is the master of.

`rows` reads the sheet: its `lines` (CSV) or a workbook's (`xlsx`), and their `columns`. `folder` reads the files that
are there, `comparing` decides what changes, `writing` writes it.
"""

from collector.config.sheet.comparing import compared
from collector.config.sheet.writing import write

__all__ = ["compared", "write"]
