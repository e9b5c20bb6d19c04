"""Scores, intervals, comparisons and the report."""

from tst.evaluate.comparison import Comparison, compare, verdict
from tst.evaluate.metrics import FrameConfusions, confusion, summarise
from tst.evaluate.report import write_report

__all__ = ["Comparison", "FrameConfusions", "compare", "confusion", "summarise", "verdict", "write_report"]
