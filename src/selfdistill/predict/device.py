"""Device that a finished run predicts on, by name."""

import torch

from selfdistill.errors import UserError


def parse_device(name: str) -> torch.device:
    """Return a device by its name: auto, cpu, gpu, or a name of torch such as cuda:1; auto is the accelerator, if any.

    Raises `UserError` for a device that this machine lacks.

    >>> parse_device("cpu")
    device(type='cpu')
    """
    there = torch.accelerator.current_accelerator(check_available=True)
    if name == "auto":
        return there or torch.device("cpu")
    if name == "gpu" and there:
        return there
    found = _parsed(name)
    if found is None or not _is_here(found, there):
        kinds = ["auto", "cpu", *([] if there is None else ["gpu", there.type])]
        raise UserError(f"cannot predict on {name!r}; this machine has {', '.join(kinds)}")
    return found


def _parsed(name: str) -> torch.device | None:
    try:
        return torch.device(name)
    except RuntimeError:
        return None


def _is_here(device: torch.device, there: torch.device | None) -> bool:
    if device.type == "cpu":
        return True
    return there is not None and device.type == there.type and (device.index or 0) < torch.accelerator.device_count()
