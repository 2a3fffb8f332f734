"""A method at work: what the contract tests do with every one of them."""

import torch
from torch import nn

from selfdistill.data.batch import Batch
from selfdistill.data.requirements import ClassGroups, ExtraAugmentation, Negatives
from selfdistill.methods import REGISTRY, parse_method
from selfdistill.step import Distiller, memory
from selfdistill.terms import Progress
from tests.helpers.networks import CLASSES, network

ROWS, SIZE, STEPS = 8, 16, 4
IMAGES = 2 * ROWS  # in the training set
TOGETHER = "scd() + lightskd() + csd()"
EXPRESSIONS = (
    *(f"{name}()" for name in REGISTRY),
    TOGETHER,
    "kd() + lightskd() + scd(warmup=2)",
    "stkd(target='mixed predictions') + drg() + dsr(forget='never')",
    "mlkd(view='strong')",
    "aca(view='strong')",
    "csd(fusion='confidence', detach=False, warmup=1) + label_smoothing()",
)


def images(seed):
    return torch.randn(ROWS, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))


def batch(seed, made, rank=None):
    """A batch as the loader brings it to this method: whole, or one of two ranks' rows, mixed within the rank."""
    draws = torch.Generator().manual_seed(1000 + seed)
    rows = slice(None) if rank is None else slice(rank * ROWS // 2, (rank + 1) * ROWS // 2)
    labels = torch.randint(0, CLASSES, (ROWS,), generator=draws)
    if isinstance(order := made.needs.get("order"), ClassGroups):
        labels = labels[:: 1 + order.others].repeat_interleave(1 + order.others)
    extra = {name: each[rows] for name, each in beside(seed, made.needs).items()}
    index = torch.arange(ROWS) + ROWS * (seed % 2)
    plain = Batch(images(seed)[rows], labels[rows], index[rows], None, extra)
    if made.erasing is not None:
        plain = made.erasing(plain, draws)
    return plain if made.mixing is None else made.mixing(plain, draws)


def beside(seed, needs):
    """What a method asks for beside images and labels."""
    draws = torch.Generator().manual_seed(2000 + seed)
    names = ("peer", "last", "strong", "plain")
    extra = {name: images(3000 + seed + 100 * k) for k, name in enumerate(names) if name in needs}
    if isinstance(need := needs.get("twin"), ExtraAugmentation):
        extra |= {name: images(4000 + seed + 100 * k) for k, name in enumerate(need.names)}
    if "last" in needs:
        extra["last_labels"] = torch.randint(0, CLASSES, (ROWS,), generator=draws)
    if isinstance(need := needs.get("negatives"), Negatives):
        extra["negatives"] = torch.randint(0, IMAGES, (ROWS, need.count), generator=draws)
    return extra


def distil(text, kind="batch", student=None, seed=0):
    made = parse_method(text)
    networks = {role: network(kind, seed=9) for role in made.teachers}
    return Distiller(student or network(kind), made, images(0), networks=networks, seed=seed)


def clock(step, steps=STEPS):
    epoch, epochs, fraction = (torch.tensor(each) for each in (float(step // 2), steps / 2, step / steps))
    return Progress(epoch, epochs, fraction, torch.tensor(float(step)), torch.tensor(step))


def optimizer(distiller):
    trained = [each for each in distiller.parameters() if each.requires_grad]
    return torch.optim.SGD(trained, lr=0.05, momentum=0.9, weight_decay=1e-4)


class Training:
    """A run of a few steps that can be put down and taken up."""

    def __init__(self, distiller, run=None, rows=ROWS):
        self.distiller, self.run = distiller, distiller if run is None else run
        self.optimizer = optimizer(distiller)
        self.memories = memory.start(distiller.terms, distiller.training_info(rows, IMAGES))
        self.step, self.log = 0, []

    def steps(self, count, rank=None):
        for _ in range(count):
            at = batch(self.step, self.distiller.method, rank)
            losses, remembered, _ = self.run(at, clock(self.step), self.memories)
            self.optimizer.zero_grad()
            self.distiller.total(losses).backward()
            self.optimizer.step()
            self.distiller.after_step()
            self.memories = memory.commit(self.memories, remembered)
            self.log.append({name: loss.detach() for name, loss in losses.items()})
            self.step += 1
        return self

    def state(self):
        return {
            "distiller": self.distiller.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "memories": self.memories,
            "step": self.step,
        }

    def take_up(self, state):
        self.distiller.load_state_dict(state["distiller"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.memories, self.step = state["memories"], state["step"]
        return self


def parameters(module: nn.Module):
    return torch.cat([each.detach().flatten() for each in module.parameters()])
