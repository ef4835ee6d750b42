"""Rank 6: the command line, the only room that sees flags and ConfigDict."""
