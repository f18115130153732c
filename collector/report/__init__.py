"""What a person or a monitor reads of a run."""
