# The commands of this project; CONTRIBUTING.md names them without just.

# Tests that start nothing: under a minute
fast:
    python -m pytest -n 2 --dist loadfile -m "not slow and not browser and not server and not milvus and not ray"

# All tests on two cores, with the lines and branches that they reach
test:
    python -m pytest -n 2 --dist loadfile --cov --cov-report term:skip-covered

# Style and types
lint:
    ruff check .
    ruff format --check .
    mypy

# Quality on the shipped questions, held to its bounds
eval:
    qa eval benchmarks/union_questions.jsonl --gate benchmarks/gate.yaml

# How long questions and commands take; benchmarks/README.md names the others
bench:
    python benchmarks/startup.py
    python benchmarks/serve.py

# The page and HTTP on this machine
serve:
    qa serve
