"""Documents to a searchable index. Knows nothing of questions, HTTP or chat."""
