"""A question, alone or after others, to what it asks for."""
