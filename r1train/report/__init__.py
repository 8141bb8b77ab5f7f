"""The report of a run: one HTML file that needs nothing else, and the table that the terminal shows."""

from r1train.report.headline import table
from r1train.report.page import write_report

__all__ = ["table", "write_report"]
