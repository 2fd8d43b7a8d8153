"""Benchmarks: figures beside a floor measured in the same run. `make bench` prints their tables."""
