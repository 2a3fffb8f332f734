"""Disks that are full or cannot be written to: real ones, for root may write anywhere else."""

import contextlib
import subprocess

import pytest


@contextlib.contextmanager
def mounted(place, *options):
    """A file system in memory, mounted at a folder. Skips where nobody may mount."""
    place.mkdir(parents=True, exist_ok=True)
    made = subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", str(place)], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"cannot mount here: {made.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def make_read_only(place):
    subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)


def fill(place, leave):
    """Write until so many bytes are free."""
    import os

    free = os.statvfs(place)
    (place / "ballast").write_bytes(bytes(max(free.f_bavail * free.f_frsize - leave, 0)))
