"""One file a way to judge captions, each with a class `Metric`."""
