"""The parts of a run: the pool, one account, discovery, the tally, the connection and the reactions."""
