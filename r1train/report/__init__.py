"""The report of a run: one HTML file, a Markdown document with pictures, and the table of the terminal."""

from r1train.report.headline import table
from r1train.report.markdown import write_markdown
from r1train.report.page import write_report

__all__ = ["table", "write_markdown", "write_report"]
