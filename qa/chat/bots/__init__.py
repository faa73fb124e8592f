"""Bots for chat tools: one module for each vendor's own SDK, and the dispatcher that answers their questions."""
