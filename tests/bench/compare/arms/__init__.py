"""The servers that are compared, a module each, run as a process: `python -m tests.bench.compare.arms.NAME`."""
