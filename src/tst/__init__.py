"""TST: a vision model for one space, made in that space (test-space training)."""

__version__ = "0.1.0"
