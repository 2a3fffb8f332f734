"""One optimizer step: forward and backward passes, update, memories. A non-finite step changes nothing."""

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
from selfdistill.step.example_weights import relative_weights
from selfdistill.step.memory import MemorySlots
from selfdistill.step.networks import CompanionNetwork
from selfdistill.terms import Progress, TrainingInfo
from selfdistill.train.config import RunConfig
from selfdistill.train.optim.balance import GradientBalance
from selfdistill.train.optim.dual_momentum import DualMomentumSGD
from selfdistill.train.optim.loss_scale import MIN_SCALE, LossScale
from selfdistill.train.optim.rollback import BufferSnapshot
from selfdistill.train.optim.sam import ascended
from selfdistill.train.parallel.ddp import DDPWeights
from selfdistill.train.persist import checkpoint, content
from selfdistill.train.persist.checkpoint import State

if TYPE_CHECKING:
    from selfdistill.train.parallel.fsdp import FSDPWeights


class TrainStep:
    """The distiller with its optimizer and the memories of its terms.

    Gradients accumulate over the `config.accumulate` parts of a batch; each part has its own memories. A step with a
    non-finite loss or gradient changes no weight, running statistic, average or memory, and no later step does:
    `all_finite` [] stays false. The check stays on the device to avoid a host sync. `balance` measures gradients.
    """

    def __init__(
        self,
        distiller: Distiller,
        config: RunConfig,
        fabric: Fabric,
        info: TrainingInfo,
        balance: GradientBalance | None = None,
    ):
        self.distiller, self.config, self.fabric, self.training_info = distiller, config, fabric, info
        self.balance = balance
        self.weights = make_weights(distiller, config, fabric)
        self.run, self.optimizer = self.weights.run, self.weights.optimizer
        self.memory = MemorySlots(distiller.terms, info, config.accumulate)
        self.buffers = BufferSnapshot(
            self.weights.local_shards(
                _untrained_tensors(distiller, (each for _, each in self._updated_networks()), config.freeze is not None)
            )
        )
        self.scale = LossScale(fabric.device) if config.precision == "16" else None
        self.replayed = ReplayedGraphs(config.compile and config.compile_mode != "default")
        self.all_finite = torch.ones((), dtype=torch.bool, device=fabric.device)

    def start_epoch(self) -> None:
        """Reset the memories that last for one epoch."""
        self.memory.restart()

    def step(self, parts: Sequence[Batch], progress: Progress, rate: float) -> tuple[dict[str, Tensor], Tensor]:
        """Take one optimizer step; return the losses by name, and the accuracy as a fraction []."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["lr_scale"]
        self.weights.broadcast_buffers()
        before = self.buffers.copy()
        parts = relative_weights(self._with_shares(parts))
        steps, finite = self._gradients(parts, progress, before)
        losses = {name: torch.stack([each.losses[name].detach() for each in steps]).mean() for name in steps[0].losses}
        taken = self._check_and_clip(losses, finite)
        self._update_weights(taken)
        self.distiller.after_step()
        self.buffers.restore_unless(taken, before)
        self._commit_memories(steps, taken)
        accuracies = [self._accuracy(each, batch) for each, batch in zip(steps, parts, strict=True)]
        return losses, torch.stack(accuracies).mean()

    def state_dict(self) -> State:
        """Gather the state for a checkpoint from all ranks. Teachers are left out: their own runs store them."""
        return {
            "student": self.weights.state_dict(self.distiller.student),
            "terms": self.weights.state_dict(self.distiller.terms),
            "networks": {name: self.weights.state_dict(each) for name, each in self._updated_networks()},
            "optimizer": self.weights.optimizer_state(),
            "scale": self.scale and self.scale.state_dict(),
        }

    def weights_finite(self) -> Tensor:
        """Return [] whether all weights and running statistics on this rank are finite."""
        parts = (self.distiller.student, self.distiller.terms, *(each for _, each in self._updated_networks()))
        values = [each for part in parts for each in part.state_dict().values() if isinstance(each, Tensor)]
        values = [each for each in self.weights.local_shards(values) if each.numel()]
        return torch.stack([each.isfinite().all() for each in values]).all()

    def require_own(self, state: State) -> None:
        """Raise `CheckpointError` if the keys or shapes of a state differ from this model and its terms."""
        content.require_alike(state["student"], self.distiller.student.state_dict(), "student")
        content.require_alike(state["terms"], self.distiller.terms.state_dict(), "terms")
        networks = {name: each.state_dict() for name, each in self._updated_networks()}
        content.require_alike(state["networks"], networks, "networks")
        content.require_optimizer(state["optimizer"], self.weights.full_param_groups())
        if self.scale:
            content.require_alike(state["scale"], self.scale.state_dict(), "scale")
        for each in state["ranks"]:
            memories = [{**own, **state["memories"]} for own in each["memories"]]
            content.require_alike(memories, self.memory.slots, "memories", rows=False)

    def load_state_dict(self, state: State, memories: list[State]) -> None:
        """Restore the state of a checkpoint and the memories of this rank."""
        self.weights.load_state_dict(self.distiller.student, state["student"])
        self.weights.load_state_dict(self.distiller.terms, state["terms"])
        for name, each in self._updated_networks():
            self.weights.load_state_dict(each, state["networks"][name])
        self.weights.load_optimizer_state(state["optimizer"])
        if self.scale:
            self.scale.load_state_dict(state["scale"])
        self.memory.load(self.fabric.to_device(memories))

    def _updated_networks(self) -> list[tuple[str, CompanionNetwork]]:
        """Return the companion networks that training changes: all except teachers."""
        roles = self.distiller.method.networks
        return [(name, each) for name, each in self.distiller.networks.items() if not isinstance(roles[name], Teacher)]

    def _with_shares(self, parts: Sequence[Batch]) -> Sequence[Batch]:
        """Weight the task of each part by its labelled rows, so that parts and processes give the mean over all."""
        counts = [each for part in parts if (each := self.distiller.rows.labeled(part.labels)) is not None]
        processes = self.fabric.world_size
        if not counts or len(parts) * processes == 1:
            return parts
        mean = distributed.all_reduce_sum(torch.stack(counts).sum()) / (len(parts) * processes)
        return [part._replace(share=count / mean.clamp_min(1)) for part, count in zip(parts, counts, strict=True)]

    def _accuracy(self, step: Step, batch: Batch) -> Tensor:
        accuracy = self.distiller.rows.accuracy(step.logits, batch.labels)
        return accuracy if batch.share is None else accuracy * batch.share

    def _gradients(
        self, parts: Sequence[Batch], progress: Progress, before: list[Tensor]
    ) -> tuple[list[Step], Tensor | None]:
        """Compute the gradients; with `config.sam`, at the weights up the slope, and [] whether the slope is finite.

        Losses, running statistics and memories are then those of the first passes, at the weights that stay. Both
        passes read the buffers `before` the step and draw the same random numbers.
        """
        if self.config.sam is None:
            return self._passes(parts, progress, self.balance), None
        random = checkpoint.random_state(self.fabric.device)
        steps = self._passes(parts, progress, self.balance)
        gradients, after = self._collect_gradients(), self.buffers.copy()
        norm = self.weights.gradient_norm(gradients)
        self.buffers.restore(before)
        checkpoint.set_random_state(random, self.fabric.device)
        with ascended(self.weights.with_gradients(), gradients, norm, self.config.sam):
            self._passes(parts, progress)
        self.buffers.restore(after)
        return steps, norm.isfinite()

    def _passes(self, parts: Sequence[Batch], progress: Progress, balance: GradientBalance | None = None) -> list[Step]:
        """Run the passes of all parts of the batch, which accumulate their gradients; `balance` sees the first."""
        self.optimizer.zero_grad()
        steps: list[Step] = []
        for batch in parts:
            steps.append(self._pass(len(steps), batch, progress, steps, None if steps else balance))
        return steps

    def _pass(
        self, part: int, batch: Batch, progress: Progress, previous: list[Step], balance: GradientBalance | None
    ) -> Step:
        """Run the forward and backward pass of one part of the batch."""
        memories = self.memory.after(previous[-1].remembered, part) if previous else self.memory.slots[part]
        self.replayed.begin_step()
        with self.weights.gradient_sync(last=part == self.config.accumulate - 1):
            with self._autocast(), one_value_refused(self.distiller.method.text, len(batch.labels)):
                step: Step = self.run(batch, progress._replace(key=progress.key + part), memories)
            if balance is not None:
                balance.measure(step.losses, self.scale.scale if self.scale else 1.0)
            self._backward(step.losses)
        return self.replayed.copy_outputs(step)

    def _autocast(self) -> AbstractContextManager[None]:
        """Return the autocast context of the passes; the distiller computes the losses outside it."""
        if self.config.precision == "32":
            return nullcontext()
        return torch.autocast(
            self.fabric.device.type, {"bf16": torch.bfloat16, "16": torch.float16}[self.config.precision]
        )

    def _backward(self, losses: dict[str, Tensor]) -> None:
        """Add the gradient of the total loss; `DualMomentumSGD` gets those of task and distillation separately."""
        factor = (self.scale.scale if self.scale else 1.0) / self.config.accumulate
        if isinstance(inner := self.optimizer.optimizer, DualMomentumSGD):
            task, distillation = self.distiller.split_task_and_distillation(losses)
            inner.backward(factor * task, factor * distillation, self.weights.gradients)
        else:
            self.fabric.backward(factor * self.distiller.total(losses))

    def _check_and_clip(self, losses: dict[str, Tensor], slope: Tensor | None = None) -> Tensor:
        """Unscale and clip the gradients. Return [] whether to take the step; all ranks agree.

        `slope` [] is false if the gradient that the weights have followed up the slope is not finite.
        """
        gradients = self._collect_gradients()
        norm, factor = self.weights.gradient_norm(gradients), torch.ones((), device=self.fabric.device)
        if self.scale:
            factor = 1 / self.scale.scale
        if self.config.clip_norm is not None:
            factor = factor * (self.config.clip_norm / (norm * factor + 1e-6)).clamp(max=1.0)
        if self.scale or self.config.clip_norm is not None:
            torch._foreach_mul_(gradients, factor)
        valid, finite = torch.stack([*losses.values()]).isfinite().all(), norm.isfinite()
        finite = distributed.all_true(finite if slope is None else finite & slope)
        if self.scale:
            self.scale.update(finite)
            valid = valid & (self.scale.scale >= MIN_SCALE)
        self.all_finite = distributed.all_true(self.all_finite & valid & (finite if self.scale is None else True))
        return self.all_finite & finite

    def _collect_gradients(self) -> list[Tensor]:
        """Return the gradients of this step."""
        if isinstance(inner := self.optimizer.optimizer, DualMomentumSGD):
            return inner.gradients()
        return self.weights.collect_gradients()

    def _update_weights(self, taken: Tensor) -> None:
        """Update the weights if `taken` [] is true."""
        inner = self.optimizer.optimizer
        if inner.defaults.get("fused") or isinstance(inner, DualMomentumSGD):
            inner.found_inf = (~taken).float()  # as in torch's GradScaler: the kernel skips the update
            self.optimizer.step()
        elif taken:
            self.optimizer.step()

    def _commit_memories(self, steps: list[Step], taken: Tensor) -> None:
        """Store the memories of each part if `taken` [] is true."""
        for part, step in enumerate(steps):
            self.memory.commit(part, step.remembered, taken=taken)


def make_weights(distiller: Distiller, config: RunConfig, fabric: Fabric) -> "DDPWeights | FSDPWeights":
    """Distribute the weights by the configured strategy; FSDP needs several processes."""
    if config.strategy != "fsdp" or fabric.world_size == 1:
        return DDPWeights(distiller, config, fabric)
    from selfdistill.train.parallel.fsdp import FSDPWeights  # slow to import, and missing from some builds of torch

    return FSDPWeights(distiller, config, fabric)


def _untrained_tensors(distiller: Distiller, companions: Iterable[nn.Module], frozen: bool) -> list[Tensor]:
    """Return the buffers and untrained parameters of all modules except teachers; of a `frozen` student, no weights."""
    modules = [distiller.student, distiller.terms, *companions]
    changing = modules[1:] if frozen else modules  # a copy of a frozen backbone at each step would be slow
    parameters = [each for module in changing for each in module.parameters() if not each.requires_grad]
    return parameters + [each for module in modules for each in module.buffers()]
