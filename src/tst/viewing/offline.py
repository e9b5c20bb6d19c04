"""Keeping Rerun off the network: it counts usage and asks for newer versions of itself, unless it is kept from it.

Read in its source (0.41, `re_analytics`): nothing is counted where `CI` is set and `FORCE_RERUN_ANALYTICS` is not; and
traced with `strace`: with a proxy where nobody listens, the one request that is left (api.github.com, for the newest
version) ends on this machine. The SDK itself, which writes the recording, connects to nothing.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

NOBODY = "http://127.0.0.1:9"
PROXIES = ("http_proxy", "https_proxy", "all_proxy")
SET = {
    "CI": "true",
    "TELEMETRY_ENABLED": "false",
    **dict.fromkeys((*PROXIES, *map(str.upper, PROXIES)), NOBODY),
    **dict.fromkeys(("no_proxy", "NO_PROXY"), "127.0.0.1,localhost"),
}
UNSET = ("FORCE_RERUN_ANALYTICS",)


@contextmanager
def offline() -> Iterator[None]:
    """Inside, the environment, also that of programs which are started, is such that Rerun sends nothing."""
    before = dict(os.environ)
    os.environ.update(SET)
    for name in UNSET:
        os.environ.pop(name, None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
