"""Near-duplicate passages, found while indexing, so that a hit stands for all that say the same."""
