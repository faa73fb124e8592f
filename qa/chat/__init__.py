"""Answers in the tools where people chat: each module speaks one protocol over the same Engine."""
