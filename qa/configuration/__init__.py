"""config.yaml and the environment, read in one place."""
