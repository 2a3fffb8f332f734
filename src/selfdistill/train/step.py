"""One step of the optimizer: passes, gradients, and what follows from them, or nothing of it."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from selfdistill import distributed
from selfdistill.data.batch import Batch
from selfdistill.method.networks import Teacher
from selfdistill.step import Distiller, Step
from selfdistill.step.batch_norm import one_value_refused
from selfdistill.step.compile import ReplayedGraphs
from selfdistill.step.memory import MemorySlots
from selfdistill.step.networks import CompanionNetwork
from selfdistill.terms import Progress, TrainingInfo
from selfdistill.train.config import RunConfig
from selfdistill.train.optim.dual_momentum import DualMomentumSGD
from selfdistill.train.optim.loss_scale import LEAST, LossScale
from selfdistill.train.optim.rollback import BufferSnapshot
from selfdistill.train.parallel.ddp import DDPWeights
from selfdistill.train.persist import content
from selfdistill.train.persist.checkpoint import State

if TYPE_CHECKING:
    from selfdistill.train.parallel.fsdp import FSDPWeights


class TrainStep:
    """The distiller and its optimizer, with what terms remember between steps.

    A batch comes in as many parts as `config.accumulate` says, each with memories of its own. A step whose loss or
    gradient is no finite number changes nothing, neither weights nor running statistics, averages or memories, and
    no step after it does: `sound` [] stays false. That is decided on the device; nobody waits for it.
    """

    def __init__(self, distiller: Distiller, config: RunConfig, fabric: Fabric, facts: TrainingInfo):
        self.distiller, self.config, self.fabric, self.training_info = distiller, config, fabric, facts
        self.weights = held(distiller, config, fabric)
        self.run, self.optimizer = self.weights.run, self.weights.optimizer
        self.memory = MemorySlots(distiller.terms, facts, config.accumulate)
        self.moving = BufferSnapshot(self.weights.here(_moving(distiller, (each for _, each in self._living()))))
        self.scale = LossScale(fabric.device) if config.precision == "16" else None
        self.replayed = ReplayedGraphs(config.compile and config.compile_mode != "default")
        self.sound = torch.ones((), dtype=torch.bool, device=fabric.device)

    def start_epoch(self) -> None:
        """Start again what forgets by the epoch."""
        self.memory.restart()

    def step(self, parts: Sequence[Batch], progress: Progress, rate: float) -> tuple[dict[str, Tensor], Tensor]:
        """Make a step at this learning rate; give its losses by name, and the share of rows that were right."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.weights.agree()
        before = self.moving.copied()
        self.optimizer.zero_grad()
        made: list[Step] = []
        for batch in parts:
            made.append(self._pass(len(made), batch, progress, made))
        losses = {name: torch.stack([each.losses[name].detach() for each in made]).mean() for name in made[0].losses}
        taken = self._judge(losses)
        self._move(taken)
        self.distiller.after_step()
        self.moving.keep(before, taken)
        self._remember(made, taken)
        right = [
            (each.logits.argmax(dim=1) == batch.labels).float().mean() for each, batch in zip(made, parts, strict=True)
        ]
        return losses, torch.stack(right).mean()

    def state_dict(self) -> State:
        """Return the state for a checkpoint, gathered from all ranks; teachers are files of their own and left out."""
        return {
            "student": self.weights.state_dict(self.distiller.student),
            "terms": self.weights.state_dict(self.distiller.terms),
            "networks": {name: self.weights.state_dict(each) for name, each in self._living()},
            "optimizer": self.weights.optimizer_state(),
            "scale": self.scale and self.scale.state_dict(),
        }

    def finite(self) -> Tensor:
        """Return whether all weights and running statistics on this rank are finite. -> []."""
        parts = (self.distiller.student, self.distiller.terms, *(each for _, each in self._living()))
        values = [each for part in parts for each in part.state_dict().values() if isinstance(each, Tensor)]
        values = [each for each in self.weights.here(values) if each.numel()]
        return torch.stack([each.isfinite().all() for each in values]).all()

    def require_own(self, state: State) -> None:
        """Raise `CheckpointError` for a state whose keys or shapes are not those of this model and its terms."""
        content.require_alike(state["student"], self.distiller.student.state_dict(), "student")
        content.require_alike(state["terms"], self.distiller.terms.state_dict(), "terms")
        networks = {name: each.state_dict() for name, each in self._living()}
        content.require_alike(state["networks"], networks, "networks")
        content.require_optimizer(state["optimizer"], self.optimizer.param_groups)
        if self.scale:
            content.require_alike(state["scale"], self.scale.state_dict(), "scale")
        for each in state["ranks"]:
            memories = [{**own, **state["memories"]} for own in each["memories"]]
            content.require_alike(memories, self.memory.slots, "memories", rows=False)

    def load_state_dict(self, state: State, memories: list[State]) -> None:
        """Go on where a state was taken, with these memories."""
        self.weights.load_state_dict(self.distiller.student, state["student"])
        self.weights.load_state_dict(self.distiller.terms, state["terms"])
        for name, each in self._living():
            self.weights.load_state_dict(each, state["networks"][name])
        self.weights.take_up_optimizer(state["optimizer"])
        if self.scale:
            self.scale.load_state_dict(state["scale"])
        self.memory.slots = self.fabric.to_device(memories)

    def _living(self) -> list[tuple[str, CompanionNetwork]]:
        """The networks beside the student that change."""
        roles = self.distiller.method.networks
        return [(name, each) for name, each in self.distiller.networks.items() if not isinstance(roles[name], Teacher)]

    def _pass(self, part: int, batch: Batch, progress: Progress, before: list[Step]) -> Step:
        """Pass one part of the batch, and add its gradients to those of the parts before it."""
        memories = self.memory.after(before[-1].remembered, part) if before else self.memory.slots[part]
        self.replayed.begin_step()
        with self.weights.passing(last=part == self.config.accumulate - 1):
            with self._precision(), one_value_refused(self.distiller.method.text, len(batch.labels)):
                made: Step = self.run(batch, progress, memories)
            self._gradients(made.losses)
        return self.replayed.own(made)

    def _precision(self) -> AbstractContextManager[None]:
        """Autocast around the passes only: the distiller's terms leave it by themselves."""
        if self.config.precision == "32":
            return nullcontext()
        return torch.autocast(
            self.fabric.device.type, {"bf16": torch.bfloat16, "16": torch.float16}[self.config.precision]
        )

    def _gradients(self, losses: dict[str, Tensor]) -> None:
        """Find the gradient of the total, or of its two parts."""
        share = (self.scale.scale if self.scale else 1.0) / self.config.accumulate
        if isinstance(inner := self.optimizer.optimizer, DualMomentumSGD):
            learn, mimic = self.distiller.split_task_and_distillation(losses)
            inner.backward(share * learn, share * mimic, self.weights.gradients)
        else:
            self.fabric.backward(share * self.distiller.total(losses))

    def _judge(self, losses: dict[str, Tensor]) -> Tensor:
        """Decide on all ranks alike whether the step is taken, [], and clip and unscale the gradients."""
        found = self._found()
        norm, share = self.weights.norm(found), torch.ones((), device=self.fabric.device)
        if self.scale:
            share = 1 / self.scale.scale
        if self.config.clip_norm is not None:
            share = share * (self.config.clip_norm / (norm * share + 1e-6)).clamp(max=1.0)
        if self.scale or self.config.clip_norm is not None:
            torch._foreach_mul_(found, share)
        sound, finite = torch.stack([*losses.values()]).isfinite().all(), distributed.all_true(norm.isfinite())
        if self.scale:
            self.scale.update(finite)
            sound = sound & (self.scale.scale >= LEAST)
        self.sound = distributed.all_true(self.sound & sound & (finite if self.scale is None else True))
        return self.sound & finite

    def _found(self) -> list[Tensor]:
        """The gradients of this step."""
        if isinstance(inner := self.optimizer.optimizer, DualMomentumSGD):
            return inner.gradients()
        return self.weights.found()

    def _move(self, taken: Tensor) -> None:
        """Take the optimizer's step, if it is to be taken."""
        inner = self.optimizer.optimizer
        if inner.defaults.get("fused") or isinstance(inner, DualMomentumSGD):
            inner.found_inf = (~taken).float()  # as torch's GradScaler tells it: the device skips the step
            self.optimizer.step()
        elif taken:
            self.optimizer.step()

    def _remember(self, made: list[Step], taken: Tensor) -> None:
        """Commit the memories of each part."""
        for part, step in enumerate(made):
            self.memory.commit(part, step.remembered, taken=taken)


def held(distiller: Distiller, config: RunConfig, fabric: Fabric) -> "DDPWeights | FSDPWeights":
    """The weights as the strategy shares them among processes; one process has nothing to share."""
    if config.strategy != "fsdp" or fabric.world_size == 1:
        return DDPWeights(distiller, config, fabric)
    from selfdistill.train.parallel.fsdp import FSDPWeights  # slow to import, and not in each build of torch

    return FSDPWeights(distiller, config, fabric)


def _moving(distiller: Distiller, living: Iterable[nn.Module]) -> list[Tensor]:
    """Buffers, and parameters that the optimizer leaves alone, of all that is no teacher's."""
    modules = [distiller.student, distiller.terms, *living]
    parameters = [each for module in modules for each in module.parameters() if not each.requires_grad]
    return parameters + [each for module in modules for each in module.buffers()]
