"""Benchmarks: operations, bytes, memory and time of the parts of the pipeline."""
