"""The face under DDP."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

RANK = """
import gc, torch, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
import selfdistill as sd
from tests.helpers.networks import network
from tests.helpers.loops import ALL, batch
torch.set_num_threads(1)
dist.init_process_group("gloo")
try:
    sd.teach(DistributedDataParallel(network()), ALL, batch(0)[0])
except sd.UserError as error:
    assert "wrap the teach, not the model" in str(error)
else:
    raise AssertionError("a wrapped model was taken")
teach = sd.teach(network(), ALL, batch(0)[0])
student, run = teach.student, DistributedDataParallel(teach)
optimizer = torch.optim.SGD(run.parameters(), lr=0.05)
for step in range(3):
    loss = run(*batch(10 * step + dist.get_rank()))
    optimizer.zero_grad(); loss.backward(); optimizer.step()
flat = torch.cat([each.detach().flatten() for each in teach.parameters()])
other = [torch.empty_like(flat) for _ in range(2)]
dist.all_gather(other, flat)
assert torch.equal(*other), "heads or student drifted apart"
assert teach.close() is student
dist.barrier()
del run, optimizer, loss  # a process group that DDP still holds may abort the process at its end
gc.collect()
dist.destroy_process_group()
"""


AUXILIARY = """
import gc, torch, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
import selfdistill as sd
from tests.helpers.kinds import LABELS, AuxiliaryLogits, floats
torch.set_num_threads(1)
dist.init_process_group("gloo")
for text, aux in [("ce()", 0.4), ("ce()", 0), ("dml()", 0.4), ("dml()", 0)]:
    torch.manual_seed(0)
    images = floats(3, 16, 16)() + dist.get_rank()
    teach = sd.teach(AuxiliaryLogits(), text, images, aux=aux)
    run = DistributedDataParallel(teach)
    optimizer = torch.optim.SGD([each for each in run.parameters() if each.requires_grad], lr=0.05)
    before = teach.student.aux.weight.clone()
    for step in range(3):
        loss = run(images, LABELS)
        optimizer.zero_grad(); loss.backward(); optimizer.step()
    weight = teach.student.aux.weight.detach()
    other = [torch.empty_like(weight) for _ in range(2)]
    dist.all_gather(other, weight)
    assert torch.equal(*other), "auxiliary heads drifted apart"
    assert torch.equal(weight, before) == (aux == 0)
    del run, optimizer, loss
dist.barrier()
gc.collect()
dist.destroy_process_group()
"""


@pytest.mark.parametrize("script", [RANK, AUXILIARY], ids=["heads", "auxiliary logits"])
def test_teach_under_ddp(script):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    root = Path(__file__).parents[2]
    path = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
    shared = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "PYTHONPATH": path}
    ranks = [
        subprocess.Popen([sys.executable, "-c", script], env={**shared, "RANK": str(rank)}, cwd=root)
        for rank in range(2)
    ]
    assert [each.wait(timeout=200) for each in ranks] == [0, 0]
