"""Scores, intervals, comparisons and the report."""

from tst.evaluation.comparison import Comparison, compare, verdict
from tst.evaluation.metrics import FrameConfusions, confusion, summarise
from tst.evaluation.report import write_report

__all__ = ["Comparison", "FrameConfusions", "compare", "confusion", "summarise", "verdict", "write_report"]
