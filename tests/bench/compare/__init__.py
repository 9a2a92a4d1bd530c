"""The comparison of carlens with other ways to serve the same models: `python -m tests.bench.compare`."""
