"""How good a model is, on the shapes world: four tasks, one report."""
