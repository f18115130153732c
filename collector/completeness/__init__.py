"""Which days are whole, what answers prove, and what to ask next."""
