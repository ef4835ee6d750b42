"""Rank 6: a model for others to use: OpenAI's endpoints, and a page to play with.

`app.make` puts a server together from a backend, which `loaded.Loaded` makes of a
model; `run.serve` opens it to the network. What comes in is a stranger's: `security`
looks at who asks, `bodies` and `fields` at what, `limits` says how much, and `line` who
waits. The files that are left are one endpoint each.
"""
