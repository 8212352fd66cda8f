"""Programs that measure what the floor costs; each is run by `python -m benchmarks.NAME`."""
