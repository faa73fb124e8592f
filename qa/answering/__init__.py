"""Hits to an answer with citations, or to the reason why there is none."""
