"""What people look at: the report, tables of figures, a first look."""
