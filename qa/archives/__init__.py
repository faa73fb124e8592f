"""An installation in one file: backups, and bundles that run without a network."""
