"""Whose memory a run samples and judges, where that is not the process of the test itself."""

from __future__ import annotations

from senytl.performance.recording import running_recorder

__all__ = ["watch_memory"]


def watch_memory(pid: int | None = None, children: bool = False) -> None:
    """Sample and judge the memory of another process: the one in which the agent runs.

    It is for the whole run, whose samples so far are dropped, as they were of another process;
    said again, it costs nothing. A run watches one process at a time: where the agent starts
    processes of its own, in each request or for each user, watch them all with `children`. When
    the process ends during the run, the samples up to then stay.

    Args:
        pid: The process; None for this one.
        children: Whether its children, their children and so on are added. Memory that
            processes share counts in each of them.

    Raises:
        MisuseError: If there is no such process, or its memory may not be read.
        PerformanceError: If no benchmark or load test is running here.
    """
    recorder = running_recorder()
    if recorder.run.watched != (pid, children):
        with recorder.stopped_clock():
            recorder.run.watch_memory(pid, children)
