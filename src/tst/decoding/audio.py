"""The sound of a video as a sensor: 16 kHz, one channel, 16 bits, decoded as a stream by PyAV."""

from pathlib import Path

import av
import numpy as np
import pyarrow as pa

from tst.decoding.archives import BROKEN

RATE = 16000
LONGEST = 4 * 3600
"""Seconds; 460 MB."""
LOWEST_RATE, LONGEST_FRAME = 4000, 60
"""Samples a second, and seconds: beyond these, little input would become much sound."""
GAP = 0.1
"""Seconds by which a packet may miss the end of the one before it and still continue it."""


def audio(source: Path) -> tuple[pa.Table | None, str | None]:
    """The sensor table `audio` (rows of about a second; its metadata has `rate`), and what was wrong with it.

    Times are the container's, as those of `Video`. Without sound the table is None; damaged sound ends where the damage
    is, and is no error: the pictures count.
    """
    times: list[float] = []
    blocks: list[np.ndarray] = []
    pending: list[np.ndarray] = []
    start = end = 0.0
    problem = None

    def flush() -> None:
        if pending:
            times.append(start)
            blocks.append(np.concatenate(pending))
            pending.clear()

    try:
        with av.open(str(source)) as container:
            if not container.streams.audio:
                return None, None
            if container.streams.audio[0].codec_context is None:
                return None, "left out: its codec is unknown, or damaged"
            resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
            for frame in container.decode(container.streams.audio[0]):
                if frame.sample_rate < LOWEST_RATE or frame.samples > LONGEST_FRAME * frame.sample_rate:
                    problem = f"has no usable sound after {end:.1f} s ({frame.sample_rate} samples a second)"
                    break
                for part in resampler.resample(frame):
                    # There are 40 parts a second: `to_ndarray` and fractions of `time_base` would take half the time.
                    samples = np.frombuffer(memoryview(part.planes[0]), np.int16, part.samples).copy()
                    time = end if part.time is None else part.time
                    if (blocks or pending) and time < end - GAP:
                        continue  # played already
                    if not pending or time > end + GAP:
                        flush()
                        start = end = max(time, end) if blocks else time
                    pending.append(samples)
                    end += len(samples) / RATE
                    if end - start >= 1:
                        flush()
                if len(blocks) > LONGEST:
                    problem = f"cut off after {LONGEST // 3600} hours"
                    break
    except (av.FFmpegError, *BROKEN) as error:
        problem = f"damaged after {end:.1f} s ({type(error).__name__})"
    flush()
    if not blocks:
        return None, problem
    columns = {"time": pa.array(times, pa.float64()), "samples": pa.array(blocks, pa.list_(pa.int16()))}
    return pa.table(columns).replace_schema_metadata({"rate": str(RATE)}), problem
