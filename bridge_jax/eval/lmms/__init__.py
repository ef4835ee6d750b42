"""The model inside lmms-eval (the extra `lmms`)."""
