"""Launch of a run: its devices, and one process for each."""

import atexit
import gc
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.strategies.launchers.subprocess_script import _SubprocessScriptLauncher

from selfdistill import distributed
from selfdistill.errors import UserError
from selfdistill.train.config import RunConfig
from selfdistill.train.parallel.rank_launcher import LOST_RANK, RankLauncher

STARTED = {"SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE", "LSB_JOBID", "MASTER_ADDR"}  # set where something starts the others


def as_launched(config: RunConfig) -> RunConfig:
    """Fill in `devices` and `nodes` from torchrun's environment if the configuration leaves both at 1."""
    if not dist.is_available() or not dist.is_torchelastic_launched() or config.devices * config.nodes > 1:
        return config
    local, total = (int(os.environ[each]) for each in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"))
    return replace(config, devices=local, nodes=total // local)


def launched(config: RunConfig) -> Fabric:
    """Launch Fabric on the configured devices, and start the other ranks unless torchrun has. Raises `UserError`."""
    if config.nodes > 1 and not dist.is_torchelastic_launched() and not STARTED & os.environ.keys():
        raise UserError(
            f"{config.nodes} nodes need a launcher, and this process has none: start the command with torchrun or "
            "Slurm on each, or leave --nodes out"
        )
    try:
        fabric = Fabric(
            accelerator=config.accelerator,
            devices=config.devices,
            num_nodes=config.nodes,
            strategy=_launch_strategy(config),
        )
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"cannot train on {config.devices} device(s) of kind {config.accelerator}: {error}; try --accelerator "
            "auto or fewer --devices"
        ) from None
    if config.sync_batchnorm and fabric.device.type == "cpu":
        raise UserError("--sync-batchnorm needs GPUs, but this run is on a CPU; leave it out")
    if isinstance(default := fabric.strategy.launcher, _SubprocessScriptLauncher):
        fabric.strategy._launcher = RankLauncher(default.cluster_environment, default.num_processes, default.num_nodes)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # no message for each process
    try:
        fabric.launch()
    except ValueError as error:  # another number than torchrun has started
        raise UserError(f"{error}; leave --devices and --nodes to torchrun") from None
    # before Fabric's own handler: a process group that a dead DDP module holds would outlive it and abort the process
    atexit.register(gc.collect)
    return fabric


def _launch_strategy(config: RunConfig) -> str:
    """Return the strategy by which Fabric starts the processes; for FSDP, that of DDP."""
    several = config.devices * config.nodes > 1
    if config.unfreeze is not None and several:
        return "ddp_find_unused_parameters_true"  # else DDP waits for the gradients of layers that are frozen for now
    if config.strategy != "fsdp":
        return config.strategy
    return "ddp" if several else "auto"


@contextmanager
def lost_rank_refused() -> Iterator[None]:
    """Turn the error of a collective that lost a rank into a `UserError`."""
    try:
        yield
    except RuntimeError as error:
        if not distributed.is_lost_rank(error):
            raise
        raise UserError(LOST_RANK) from None
