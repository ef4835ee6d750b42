"""What sees, one file a tower; a config names the file.

A `Tower(sizes)` turns packed patches [B, P, D], their coordinates [B, P, 2] and frame
numbers [B, P] into features [B, N, width(sizes)]; `sizes` is the field of its name in
the model's config. `nothing(sizes)` is a valid call.
"""
