"""Text and JSON for terminals and monitors."""
