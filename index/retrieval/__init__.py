"""A query to hits, over any store."""
