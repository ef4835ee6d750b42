"""Benchmarks of others: their files read, answered by shards, judged; see `run`."""
