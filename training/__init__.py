"""How the bundled embedding model is made: `python -m training --data DIR --out DIR`. No run-time code uses it."""
