"""Data for reasoning models: sample, curate, dedupe, decontaminate, select, mix; every row has a fate."""
