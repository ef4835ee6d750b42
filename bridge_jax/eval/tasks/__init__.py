"""What the shapes world asks of a model, exactly scored: one file a task."""
