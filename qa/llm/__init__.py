"""Answers written by a language model from chosen passages, each sentence checked against what it cites."""
