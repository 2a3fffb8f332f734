"""One of two processes: trains every expression under DDP and writes down what it saw."""

import os
import pickle
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from tests.contract.steps import EXPRESSIONS, Training, batch, clock, distil


def look(text: str, rank: int) -> dict:
    distiller = distil(text, "group")
    run = DistributedDataParallel(distiller)
    training = Training(distiller, run, rows=4)
    made = run(batch(0, distiller.method, rank), clock(0), training.memories)
    distiller.total(made.losses).backward()
    grads = {name: each.grad.clone() for name, each in distiller.named_parameters() if each.requires_grad}
    distiller = distil(text, "group")
    training = Training(distiller, DistributedDataParallel(distiller), rows=4)
    training.steps(3, rank)
    parameters = {name: each.detach().clone() for name, each in distiller.named_parameters()}
    return {"grads": grads, "memories": training.memories, "parameters": parameters}


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)  # so that a difference between ranks is none of rounding
    rank = int(os.environ["RANK"])
    dist.init_process_group("gloo")
    told = {text: look(text, rank) for text in EXPRESSIONS}
    (Path(sys.argv[1]) / f"rank{rank}.pickle").write_bytes(pickle.dumps(told))
    dist.barrier()
    dist.destroy_process_group()
