"""A reward spec in other people's trainers: one module per trainer, each only a translation."""
