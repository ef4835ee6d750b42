"""Looking at data before a model does: what it holds, how long it is, what is wrong."""
