"""The laboratory: one config changed in many ways, with seeds, and what came of it.

An experiment is a file of `configs/` (see `experiment.Experiment`). `grid` runs its
jobs, `results` reads what they left, `statistics` says what it is worth, `table`,
`plots` and `report` show it.
"""
