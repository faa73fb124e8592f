"""The engine over HTTP: `qa.serving.app` makes the application, `qa.serving.server` runs it."""
