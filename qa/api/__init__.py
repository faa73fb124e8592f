"""The engine over HTTP: `qa.api.app` makes the application, `qa.api.server` runs it."""
