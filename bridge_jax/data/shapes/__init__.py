"""The embedded shapes world: scenes, language about them, and their reader."""
