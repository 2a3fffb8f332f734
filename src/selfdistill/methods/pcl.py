"""Peer Collaborative Learning for Online Knowledge Distillation (https://arxiv.org/abs/2006.04147)."""

from copy import deepcopy
from itertools import product

import torch
from torch import nn

from selfdistill.maths import averaged, kl
from selfdistill.method import Method
from selfdistill.needs import Twin
from selfdistill.recipe import NotNegative, Positive, Several, Share, recipe
from selfdistill.roles import Average
from selfdistill.terms import Outputs, Parts, Seen, Term, View


class Collaboration(Term):
    """Peers with a view each learn from their joint prediction, and from averages of one another."""

    learns = True
    reads = ("embedding",)
    steps: torch.Tensor

    def __init__(self, tap: str, peers: int, temperature: float, ramp: float, decay: float):
        super().__init__()
        self.taps, self.temperature, self.decay = (tap,), temperature, decay
        self.ramp, self.timed = ramp, ramp > 0
        self.twins = Twin(peers - 1).names
        live = [View(name, grad=True, source=name) for name in self.twins]
        slow = [View(f"average_{name}", grad=False, network="average", source=name, taps=(tap,)) for name in self.twins]
        self.views = (View("average", grad=False, network="average", taps=(tap,)), *live, *slow)

    def build(self, parts: Parts):
        """Make the other peers, slow copies of them, and what joins the embeddings of all."""
        self.peers = nn.ModuleList(parts.tail(self.taps[0]) for _ in self.twins)
        self.averages = deepcopy(self.peers).requires_grad_(False)
        self.join = nn.Linear((1 + len(self.twins)) * parts.shapes["embedding"][-1], parts.classes)
        self.register_buffer("steps", torch.zeros(()))

    def loss(self, seen: Seen):
        """CE of peers and ensemble; ramp · T² (KL from the ensemble + mean KL from the others' averages)."""
        tap = self.taps[0]
        others = [peer(seen.views[name].features[tap]) for name, peer in zip(self.twins, self.peers, strict=True)]
        shown = [Outputs(seen.logits, seen.embedding, {}), *others]
        ensemble = self.join(torch.cat([each.embedding for each in shown], dim=1))
        learn = seen.learn(ensemble) + sum(seen.learn(each.logits) for each in others)
        mimic = self.imitation([each.logits for each in shown], ensemble, self.slow(seen))
        return {"learn": learn, "mimic": seen.clock.ramp_up(self.ramp) * mimic}

    def slow(self, seen):
        """What the averages say, each of its peer's own view. -> [B, C] each."""
        views = [seen.views[f"average_{name}"] for name in self.twins]
        pairs = zip(views, self.averages, strict=True)
        others = [average(view.features[self.taps[0]]).logits for view, average in pairs]
        return [seen.views["average"].logits, *others]

    def imitation(self, logits, ensemble, slow):
        """What all peers owe to the ensemble and to the others' averages. -> []."""
        pairs = [(k, j) for k, j in product(range(len(logits)), repeat=2) if k != j]
        from_others = sum(kl(logits[k], slow[j], self.temperature) for k, j in pairs) / (len(logits) - 1)
        return sum(kl(each, ensemble, self.temperature) for each in logits) + from_others

    @torch.no_grad()
    def after_step(self):
        """Let the averages follow their peers."""
        self.steps += 1
        for slow, live in zip(self.averages.parameters(), self.peers.parameters(), strict=True):
            slow.copy_(averaged(slow, live, self.steps, self.decay))


@recipe
def pcl(
    tap: str = "stage-2",
    peers: Several = 3,
    temperature: Positive = 3.0,
    ramp: NotNegative = 80.0,
    decay: Share = 0.999,
) -> Method:
    """Peer branches with a view each, their ensemble and their averages teach; the average is deployed."""
    return Method(
        {"collaboration": Collaboration(tap, peers, temperature, ramp, decay)},
        needs={"twin": Twin(peers - 1)},
        networks={"average": Average(decay=decay)},
        deploys="average",
    )
