"""Fair times: tasks take turns in one process, so a machine that slows down slows them all."""

import statistics
import time


def medians(rounds: int, **tasks) -> dict[str, float]:
    """Seconds of each task, run in turn."""
    times = {name: [] for name in tasks}
    for _ in range(rounds + 1):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values[1:]) for name, values in times.items()}  # 0: warm-up
