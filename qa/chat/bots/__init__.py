"""Bots for chat tools: one module for each on the vendor's own SDK, and the room where their questions are answered."""
