"""Documents added, replaced and removed while a server runs: files first, then the index, as jobs."""
