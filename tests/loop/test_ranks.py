"""The face under DDP."""

import os
import socket
import subprocess
import sys
from pathlib import Path

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


def test_teach_under_ddp():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    root = Path(__file__).parents[2]
    path = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
    shared = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "PYTHONPATH": path}
    ranks = [
        subprocess.Popen([sys.executable, "-c", RANK], env={**shared, "RANK": str(rank)}, cwd=root) for rank in range(2)
    ]
    assert [each.wait(timeout=200) for each in ranks] == [0, 0]
