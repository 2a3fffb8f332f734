"""Everything that must survive an interruption, in one dict and one file."""

import shutil
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from selfdistill import ranks
from selfdistill.errors import UserError
from selfdistill.train.files import write_whole

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"


def save(folder: Path, state: dict[str, Any]) -> None:
    """Write the checkpoint of a run, keeping the one before it."""
    last = folder / LAST
    if last.exists():
        write_whole(folder / PREVIOUS, lambda beside: shutil.copyfile(last, beside))
    write_whole(last, lambda beside: torch.save(state, beside))


def load(folder: Path) -> dict[str, Any]:
    """Read the last checkpoint of a run; nothing in it is executed. Raises `UserError`."""
    try:
        return torch.load(folder / LAST, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's kinds for a damaged file differ by where it is damaged
        raise UserError(
            f"cannot read the checkpoint {folder / LAST} ({type(error).__name__}); put {PREVIOUS} in its "
            "place, or start the run again in another --out"
        ) from None


def of_each_rank(value: Any) -> list[Any]:
    """The value of every process, in the order of their ranks; all must call this."""
    values = [value] * ranks.count()
    if len(values) > 1:
        dist.all_gather_object(values, value)
    return values


def random_state() -> dict[str, Any]:
    """Where torch's random streams stand."""
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), "devices": devices}


def set_random_state(state: dict[str, Any]) -> None:
    """Put torch's random streams where `random_state` found them."""
    torch.set_rng_state(state["cpu"])
    if torch.cuda.is_available() and len(state["devices"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["devices"])
