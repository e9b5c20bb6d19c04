"""Whether a recording is good enough, and what to record next: `tst check`."""
