"""Ours and what a user would pick instead, side by side: same work, same machine.

Each side runs in a process of its own, with equal cores, and the two take turns. They
are timed after they have been seen to agree. `cases/` has what is compared, one file a
model; `peers/` what torch needs for it, which no other file imports.
"""
