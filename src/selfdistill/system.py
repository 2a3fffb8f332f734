"""How much room the machine has."""

import os
import shutil
from math import inf
from pathlib import Path

GIB = 2**30


def free_memory(root: Path = Path("/")) -> float:
    """Bytes that a process can still have, within a container's limit; infinite where the system does not tell.

    `root` is where the system's own files are looked for.
    """
    return min(_available(root), _left(root))


def free_disk(folder: Path) -> int:
    """Bytes free where a folder lies, or will lie."""
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    return shutil.disk_usage(there).free


def in_words(size: float) -> str:
    """A number of bytes: "312 MiB", "1.5 GiB"."""
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{size / 2**20:.0f} MiB"


def _available(root: Path) -> float:
    """What the kernel could give, files that it merely remembers included."""
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2 if hasattr(os, "sysconf") else inf


def _left(root: Path) -> float:
    """What a container's limit leaves; its cached files can go."""
    group = root / "sys/fs/cgroup"
    try:
        limit, used = (int((group / f"memory.{name}").read_text()) for name in ("max", "current"))
        cached = next(line for line in (group / "memory.stat").read_text().splitlines() if "inactive_file" in line)
    except (OSError, ValueError, StopIteration):  # no such limit, or "max"
        return inf
    return limit - used + int(cached.split()[1])


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def shared_out(cores: int, workers: int) -> int:
    """The threads of each worker."""
    return max(1, cores // workers)
