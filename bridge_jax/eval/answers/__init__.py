"""One file a way to judge an answer, each with a class `Metric`."""
