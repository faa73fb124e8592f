"""What a corpus holds: overview, examples to ask, the map."""
