"""Measurements that anyone can repeat; one file a suite."""
