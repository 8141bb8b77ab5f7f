"""The words every other module is written in: rows, templates, traces, verdicts, errors."""
