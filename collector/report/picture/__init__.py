"""The cards and the trend as one picture."""
