"""Named random streams."""

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import RLock

import torch
from torch import Generator

_GLOBAL = RLock()  # held while a thread draws from the global generators, which all threads of a process share


@contextmanager
def global_rng(on_wait: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Reserve the global random generators for this thread; other threads wait, after a call of `on_wait`.

    >>> with global_rng():
    ...     weights = torch.randn(2)
    """
    if not _GLOBAL.acquire(blocking=False):
        on_wait()
        _GLOBAL.acquire()
    try:
        yield
    finally:
        _GLOBAL.release()


@contextmanager
def fork_rng() -> Iterator[None]:
    """Restore the states of torch's generators, of the CPU and of the current accelerator, afterwards.

    Other devices are skipped: reading their generators would allocate memory on each.

    >>> state = torch.get_rng_state()
    >>> with fork_rng():
    ...     weights = torch.randn(2)
    >>> torch.equal(torch.get_rng_state(), state)
    True
    """
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    kind = "cuda" if accelerator is None else accelerator.type  # a name that torch wants even without devices
    devices = [] if accelerator is None else [torch.accelerator.current_device_index()]
    with global_rng(), torch.random.fork_rng(devices, device_type=kind):
        yield


@contextmanager
def fork_rng_named(name: str) -> Iterator[None]:
    """Seed torch's global generator by a name; restore its state afterwards.

    >>> with fork_rng_named("0:student"):
    ...     weights = torch.randn(2)
    """
    with fork_rng():
        torch.manual_seed(zlib.crc32(name.encode()))
        yield


def random_key(seed: int, number: int) -> int:
    """Return the key of a pass's random numbers: the run's seed in the upper 32 bits, the pass's number in the lower.

    >>> random_key(seed=1, number=5) - random_key(seed=1, number=4)
    1
    """
    return (seed & 0x7FFFFFFF) << 32 | number & 0xFFFFFFFF


def make_generator(*key: object) -> Generator:
    """Create the generator of a random stream, such as `make_generator(seed, "order", epoch)`.

    >>> torch.rand(1, generator=make_generator(0, "order")) == torch.rand(1, generator=make_generator(0, "order"))
    tensor([True])
    """
    return Generator().manual_seed(zlib.crc32(":".join(map(str, key)).encode()))
