"""One step of the optimiser: passes, gradients, and what follows from them, or nothing of it."""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from selfdistill import memory, ranks
from selfdistill.beside import Beside
from selfdistill.distiller import Distiller
from selfdistill.roles import Teacher
from selfdistill.terms import Batch, Clock, Facts
from selfdistill.train.config import RunConfig
from selfdistill.train.momenta import TwoMomenta
from selfdistill.train.moving import Moving
from selfdistill.train.optimiser import make_optimiser


class Descent:
    """The distiller and its optimiser, with what terms remember between steps.

    A step whose loss or gradient is no finite number changes nothing, neither weights nor running statistics,
    averages or memories, and no step after it does: `sound` [] stays false. That is decided on the device;
    nobody waits for it.
    """

    def __init__(self, distiller: Distiller, config: RunConfig, fabric: Fabric, facts: Facts):
        self.distiller, self.config, self.fabric, self.facts = distiller, config, fabric, facts
        optimiser = make_optimiser(distiller, config, distiller.method.gap, fused=_fusible(distiller))
        self.run, self.optimiser = fabric.setup(distiller, optimiser)
        self.memories = memory.start(distiller.terms, facts)
        self.moving = Moving(_moving(distiller, (each for _, each in self._living())))
        self.sound = torch.ones((), dtype=torch.bool, device=fabric.device)

    def start_epoch(self) -> None:
        """Start again what forgets by the epoch."""
        self.memories = memory.renewed(self.distiller.terms, self.facts, self.memories)

    def step(self, batch: Batch, clock: Clock, rate: float) -> tuple[dict[str, Tensor], Tensor]:
        """Make a step at this learning rate; give its losses by name, and the share of rows that were right."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        before = self.moving.copied()
        with self._precision():
            made = self.run(batch, clock, self.memories)
        self._gradients(made.losses)
        self.sound = ranks.all_true(self.sound & self._finite(made.losses))
        self._move()
        self.distiller.after_step()
        self.moving.keep(before, self.sound)
        self.memories = memory.commit(self.memories, made.remembered, self.sound)
        right = (made.logits.argmax(dim=1) == batch.labels).float().mean()
        return {name: loss.detach() for name, loss in made.losses.items()}, right

    def state(self) -> dict[str, Any]:
        """What must survive and is equal on all ranks. Teachers are left out: they are files of their own."""
        return {
            "student": self.distiller.student.state_dict(),
            "terms": self.distiller.terms.state_dict(),
            "networks": {name: each.state_dict() for name, each in self._living()},
            "optimiser": self.optimiser.state_dict(),
        }

    def finite(self) -> Tensor:
        """Whether all weights and running statistics are finite numbers. -> []."""
        parts = (self.distiller.student, self.distiller.terms, *(each for _, each in self._living()))
        values = [each for part in parts for each in part.state_dict().values() if isinstance(each, Tensor)]
        return torch.stack([each.isfinite().all() for each in values]).all()

    def take_up(self, state: dict[str, Any], memories: dict[str, Any]) -> None:
        """Go on where a state was taken, with these memories."""
        self.distiller.student.load_state_dict(state["student"])
        self.distiller.terms.load_state_dict(state["terms"])
        for name, each in self._living():
            each.load_state_dict(state["networks"][name])
        self.optimiser.load_state_dict(state["optimiser"])
        self.memories = self.fabric.to_device(memories)

    def _living(self) -> list[tuple[str, Beside]]:
        """The networks beside the student that change."""
        roles = self.distiller.method.networks
        return [(name, each) for name, each in self.distiller.networks.items() if not isinstance(roles[name], Teacher)]

    def _precision(self) -> AbstractContextManager:
        """Autocast around the passes only: the distiller's terms leave it by themselves."""
        if self.config.precision == "bf16":
            return torch.autocast(self.fabric.device.type, torch.bfloat16)
        return nullcontext()

    def _gradients(self, losses: dict[str, Tensor]) -> None:
        """Find the gradient of the total, or of its two parts."""
        self.optimiser.zero_grad()
        if isinstance(inner := self.optimiser.optimizer, TwoMomenta):
            inner.backward(*self.distiller.in_two(losses))
        else:
            self.fabric.backward(self.distiller.total(losses))

    def _finite(self, losses: dict[str, Tensor]) -> Tensor:
        """Whether all losses and gradients are finite numbers. -> []."""
        norm = torch.nn.utils.get_total_norm(self._found())
        return torch.stack([*losses.values(), norm]).detach().isfinite().all()

    def _found(self) -> list[Tensor]:
        """The gradients of this step."""
        if isinstance(inner := self.optimiser.optimizer, TwoMomenta):
            return inner.gradients()
        return [each.grad for each in self.distiller.parameters() if each.grad is not None]

    def _move(self) -> None:
        """Take the optimiser's step, if all is sound."""
        inner = self.optimiser.optimizer
        if inner.defaults.get("fused") or isinstance(inner, TwoMomenta):
            inner.found_inf = (~self.sound).float()  # as torch's GradScaler tells it: the device skips the step
            self.optimiser.step()
        elif self.sound:
            self.optimiser.step()


def _fusible(distiller: nn.Module) -> bool:
    """Whether torch has one kernel for the whole update, a third of the time and equal but for rounding."""
    parameters = list(distiller.parameters())
    return all(each.device.type in ("cpu", "cuda", "mps") and each.is_floating_point() for each in parameters)


def _moving(distiller: Distiller, living: Iterable[nn.Module]) -> list[Tensor]:
    """Buffers, and parameters that the optimiser leaves alone, of all that is no teacher's."""
    modules = [distiller.student, distiller.terms, *living]
    parameters = [each for module in modules for each in module.parameters() if not each.requires_grad]
    return parameters + [each for module in modules for each in module.buffers()]
