"""Free memory, free disk space and CPU cores of the machine."""

import os
import shutil
from math import inf
from pathlib import Path

from selfdistill.files import exists

GIB = 2**30


def free_memory(root: Path = Path("/")) -> float:
    """Return the bytes of memory that a process can allocate within its container's limit; infinite if unknown.

    `root` is the root of the file system (for tests).
    """
    return min(_kernel_available(root), _container_left(root))


def free_disk(folder: Path) -> int:
    """Return the free bytes on the disk of a folder, which need not exist yet."""
    existing = folder.absolute()
    while not exists(existing):
        existing = existing.parent
    return shutil.disk_usage(existing).free


def format_bytes(size: float) -> str:
    """Format a number of bytes.

    >>> format_bytes(312 * 2**20), format_bytes(1.5 * GIB)
    ('312 MiB', '1.5 GiB')
    """
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{size / 2**20:.0f} MiB"


def _kernel_available(root: Path) -> float:
    """Return the memory that the kernel can provide, including reclaimable file caches."""
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2 if hasattr(os, "sysconf") else inf


def _container_left(root: Path) -> float:
    """Return the memory left within the container's limit, including its file caches."""
    group = root / "sys/fs/cgroup"
    try:
        limit, used = (int((group / f"memory.{name}").read_text()) for name in ("max", "current"))
        cached = next(line for line in (group / "memory.stat").read_text().splitlines() if "inactive_file" in line)
    except (OSError, ValueError, StopIteration):  # no limit
        return inf
    return limit - used + int(cached.split()[1])


def has_bf16_arithmetic(root: Path = Path("/")) -> bool:
    """Return True if the processor has bfloat16 arithmetic (AVX-512, AMX or Arm), or if that is unknown.

    `root` is the folder of the system's files (for tests).
    """
    try:
        lines = (root / "proc/cpuinfo").read_text().splitlines()
    except (OSError, ValueError):
        return True
    flags = {flag for line in lines if line.split(":")[0].strip() in ("flags", "Features") for flag in line.split()}
    return not flags or bool(flags & {"avx512_bf16", "amx_bf16", "avx_ne_convert", "bf16"})


def available_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads_per_worker(cores: int, workers: int) -> int:
    """Divide cores among workers, at least one thread each.

    >>> threads_per_worker(8, 3)
    2
    """
    return max(1, cores // workers)
