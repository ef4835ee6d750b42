"""Conversations to answers: in batches, without pause between them, or in live rows."""
