"""Colours of charts and sheets; `page.css` has the same."""

INK, MUTED, GRID = "#1f2937", "#6b7280", "#e8ebf0"
TOTAL, NEW, LOST, MEAN, GAP, MARK = "#2f5fd0", "#12a97d", "#f08a4b", "#24344f", "#f6dcd9", "#8a63d2"
WARN = "#a4561a"
"""The colour of texts that say what is missing."""

PALETTE = (
    *("#2f5fd0", "#12a97d", "#f08a4b", "#8a63d2", "#e0b23c", "#3fb6d6", "#d9557f", "#7a8b3c", "#9b6a4a"),
    "#b9bfca",  # of what is left
)
"""Colours of several series, in their order."""
