"""Passes and losses of a training step: the module that DDP wraps and torch.compile compiles."""

from collections.abc import Callable, ItemsView, Mapping, ValuesView
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, cast

import torch
from torch import Size, Tensor, nn

from selfdistill.data.batch import Batch
from selfdistill.errors import UserError
from selfdistill.features import read_anatomy
from selfdistill.features.hooks import FeatureHooks
from selfdistill.features.logits import LogitsKey, logits_of, named_tensors
from selfdistill.features.model_copy import copy_model
from selfdistill.functional import channels
from selfdistill.inputs import Inputs, call_model, concatenate_rows, floats_to, map_tensors, num_rows, token_mask
from selfdistill.method import Method
from selfdistill.rng import fork_rng_named
from selfdistill.step.auxiliary import FrozenParameters, auxiliary_parameters, require_choice
from selfdistill.step.batch_norm import one_value_refused
from selfdistill.step.build import (
    branch_factory,
    require,
    require_changeable,
    require_stored_weight,
    shapes,
    tap_names,
)
from selfdistill.step.dropout import require_dropout
from selfdistill.step.networks import CompanionNetwork, apply_classifier, build_companions
from selfdistill.step.passes import detached, inputs_of, merge_passes, split
from selfdistill.step.precision import at_least_fp32, no_autocast, reference_tensor, to_float32
from selfdistill.step.row_kinds import RowKind, make_rows
from selfdistill.step.rows import Selection
from selfdistill.table_format import FULL, TableFormat
from selfdistill.terms import (
    BuildContext,
    CrossEntropy,
    ForwardPass,
    LinearClassifier,
    LossTerm,
    LossValue,
    Memory,
    ModelOutputs,
    Progress,
    StepContext,
    TaskLoss,
    TrainingInfo,
)

CROSS_ENTROPY = CrossEntropy()
AUXILIARY = "task.aux"  # the loss of auxiliary logits


class Step(NamedTuple):
    """The result of one step."""

    losses: dict[str, Tensor]  # by term, "term.learn" and "term.mimic", or "task.aux"; [] each, unweighted
    remembered: dict[str, Memory]  # by term, for the next step
    logits: Tensor  # [B, C] of the batch, without gradient


class LossTerms(nn.ModuleDict):
    """Terms by name."""

    if TYPE_CHECKING:  # typed access

        def __getitem__(self, key: str) -> LossTerm: ...
        def values(self) -> ValuesView[LossTerm]: ...  # noqa: D102
        def items(self) -> ItemsView[str, LossTerm]: ...  # noqa: D102


class Networks(nn.ModuleDict):
    """Companion networks by role."""

    if TYPE_CHECKING:  # typed access

        def __getitem__(self, key: str) -> CompanionNetwork: ...
        def values(self) -> ValuesView[CompanionNetwork]: ...  # noqa: D102
        def items(self) -> ItemsView[str, CompanionNetwork]: ...  # noqa: D102


class Distiller(nn.Module):
    """A student, the terms of a method, and the passes that they share.

    `student` is the caller's own object: not wrapped, no weight renamed. `inputs` are an example batch; `networks` are
    teachers and peers by role; `classifier` names the module that computes the logits, `output` the logits in the
    student's output, and `rows` what is classified (examples, pixels, tokens or tags), where they are not detected;
    `task` is a loss of logits and labels in place of cross-entropy; `aux` is the weight of the task loss of auxiliary
    logits, 0 to freeze their heads until `close`; `seed` initializes the heads without changing any other
    random stream. Raises `UserError` for a model that does not fit the method.
    """

    def __init__(
        self,
        student: nn.Module,
        method: Method,
        inputs: Inputs,
        *,
        networks: Mapping[str, nn.Module] | None = None,
        classifier: str | None = None,
        output: LogitsKey | None = None,
        task: TaskLoss | None = None,
        rows: RowKind | None = None,
        aux: float | None = None,
        seed: int = 0,
    ):
        super().__init__()
        self.method, self.own_task, self.aux = method, task, aux or 0.0
        self.weights = dict(method.weights)  # of terms
        self.anatomy = read_anatomy(student, inputs, classifier, output)
        require_choice(self.anatomy, aux)
        self.rows = make_rows(self.anatomy, method, rows)
        self.terms = LossTerms(deepcopy(method.all_terms))  # a method can be used again
        self.views = merge_passes(self.terms.values())
        for name, term in self.terms.items():
            self.rows.require(term, name, method.text)
        inputs = floats_to(inputs, reference_tensor(student))
        self.example = map_tensors(lambda each: each[:2].detach(), inputs)
        require_changeable(method, self.views, self.example)
        require_dropout(self.terms, student, self.example, method.text)
        self.networks = Networks(build_companions(method, networks, student, self.views, inputs, seed, output))
        try:
            tapped = self._build_terms(student, inputs, seed)
        except UserError:
            self._close_networks()
            raise
        self.student = student  # last, so that terms cannot hold it and copies have no hooks
        names = sorted(tapped | {"embedding"})
        self.taps = FeatureHooks(student, self.anatomy, [name for name in names if self._has(name)])
        self._freeze_auxiliary_heads(networks or {})

    def forward(self, batch: Batch, progress: Progress, memories: Mapping[str, Memory]) -> Step:
        """Run the passes; return the unweighted loss and the next memory of each term."""
        if torch.compiler.is_compiling():
            return self.compute_losses(batch, *self.passes(batch), progress, memories)
        with one_value_refused(self.method.text, len(batch.labels)):
            return self.compute_losses(batch, *self.passes(batch), progress, memories)

    def compute_losses(
        self,
        batch: Batch,
        anchor: ModelOutputs,
        views: Mapping[str, ModelOutputs],
        progress: Progress,
        memories: Mapping[str, Memory],
    ) -> Step:
        """Compute the losses and the next memory of every term from the recorded passes."""
        losses, remembered = {}, {}
        with no_autocast(anchor.logits):
            for name, term in self.terms.items():
                selection = self.rows.select(batch, term, progress, task=name == "task")
                context = self._context(term, selection, anchor, views, progress, memories.get(name))
                value, remembered[name] = term(context)
                for part, loss in _named_losses(name, value).items():
                    losses[part] = selection.loss(loss, term.needs_labels or not is_distillation_loss(part))
                if name == "task" and batch.share is not None:
                    losses[name] = losses[name] * batch.share
            if anchor.auxiliary:
                losses[AUXILIARY] = self._auxiliary_loss(batch, anchor, progress)
        return Step(losses, remembered, anchor.logits.detach())

    def total(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Return the weighted sum of the losses. -> []."""
        return torch.stack([self.weight(name) * loss for name, loss in losses.items()]).sum()

    def split_task_and_distillation(self, losses: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the weighted sums of the supervised and of the distillation losses. -> [], []."""
        zero = next(iter(losses.values())) * 0
        mimic = {name: loss for name, loss in losses.items() if is_distillation_loss(name)}
        learn = {name: loss for name, loss in losses.items() if name not in mimic}
        return self.total(learn) if learn else zero, self.total(mimic) if mimic else zero

    def weight(self, loss: str) -> float:
        """Return the weight of a loss in the total; 0 for the distillation losses of a control."""
        weight = self.aux if loss == AUXILIARY else self.weights[loss.partition(".")[0]]
        return 0.0 if self.method.control and is_distillation_loss(loss) else weight

    def task_loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Compute the task loss and the logits in the student's current mode, for validation. -> [], [B, C]."""
        anchor = self._forward_student(batch.inputs)
        with no_autocast(anchor.logits):
            zero = anchor.logits.new_zeros(())
            progress = Progress(zero, zero, zero)
            selection = self.rows.select(batch, CROSS_ENTROPY, progress, task=True)
            context = self._base_context(selection, anchor, progress)
            return selection.loss(context.cross_entropy(context.logits), True), anchor.logits.detach()

    def _auxiliary_loss(self, batch: Batch, anchor: ModelOutputs, progress: Progress) -> Tensor:
        """Compute the sum of the task losses of auxiliary logits: cross-entropy, smoothed if the task's is. -> []."""
        term = self.terms["task"]
        task = term if isinstance(term, CrossEntropy) else CROSS_ENTROPY
        selection = self.rows.select(batch, task, progress, task=True)
        context = self._base_context(selection, anchor, progress)
        each = [task.loss(replace(context, logits=selection.logits(logits))) for logits in anchor.auxiliary]
        return selection.loss(torch.stack(cast(list[Tensor], each)).sum(), True)

    def training_info(self, batch: int, images: int = 0, tables: TableFormat = FULL) -> TrainingInfo:
        """Return the `TrainingInfo` for terms, with `batch` rows per step and `images` training examples."""
        embedding = self.anatomy.embedding
        width, like = channels(embedding) if embedding else None, reference_tensor(self.student)
        return TrainingInfo(self.rows.classes, width, self.rows.count(batch), like, images, tables)

    def after_step(self) -> None:
        """Update averages and copies after the optimizer's step."""
        for network in self.networks.values():
            network.after_step()
        for term in self.terms.values():
            term.after_step()

    def deployed(self) -> nn.Module:
        """Return the network to deploy: the student, or a copy with the EMA weights or merged heads."""
        if self.method.export_role is None and not any(is_merged(term) for term in self.terms.values()):
            return self.student
        return self._merge_into(copy_model(self.student))

    def close(self) -> nn.Module:
        """Release all networks, merge exported weights into the student, and return it."""
        self.release()
        return self._merge_into(self.student)

    def release(self) -> None:
        """Remove all hooks, and restore teachers and frozen heads."""
        self.taps.close()
        for frozen in self._frozen:
            frozen.close()
        self._close_networks()

    def _close_networks(self) -> None:
        for each in self.networks.values():
            each.close()

    def _build_terms(self, student: nn.Module, inputs: Inputs, seed: int) -> set[str]:
        """Build the heads of each term; return the names of all taps."""
        taps = {name: tap_names(term, self.anatomy) for name, term in self.terms.items()}
        make_branch = branch_factory(student, self.anatomy, inputs)
        for name, term in self.terms.items():
            require(term, name, self.anatomy, self.method.text)
            require_stored_weight(term, student, self.anatomy, self.method.text)
            own = shapes(taps[name], self.rows, num_rows(inputs))
            parts = BuildContext(own, self._companion_shapes(term), make_branch, self._linear_classifiers(term))
            with fork_rng_named(f"{seed}:{name}"):
                term.build(parts)
            term.to(reference_tensor(student))
        return {tap for each in taps.values() for tap in each}

    def _freeze_auxiliary_heads(self, given: Mapping[str, nn.Module]) -> None:
        """Freeze auxiliary heads that no loss reaches: those of copies, and the student's if `aux` is 0."""
        copies = [each.network for role, each in self.networks.items() if role not in given]
        idle = copies if self.aux else [*copies, self.student]
        heads = auxiliary_parameters(self.anatomy)
        self._frozen = [FrozenParameters(network, heads) for network in idle]

    def _merge_into(self, student: nn.Module) -> nn.Module:
        """Merge exported heads or a companion's weights into the student."""
        for term in self.terms.values():
            term.finish(student, str(self.anatomy.classifier))
        if self.method.export_role is not None:
            student.load_state_dict(self.networks[self.method.export_role].network.state_dict())
        return student

    def _companion_shapes(self, term: LossTerm) -> dict[str, Mapping[str, Size]]:
        shapes = {view.name: self.networks[view.network].shapes for view in term.views if view.network in self.networks}
        return {name: {tap: self.rows.row_shape(tap, each) for tap, each in of.items()} for name, of in shapes.items()}

    def _linear_classifiers(self, term: LossTerm) -> dict[str, Callable[[], LinearClassifier]]:
        others = {view.name: self.networks[view.network] for view in term.views if view.network in self.networks}
        return {name: each.linear_classifier for name, each in others.items()}

    def _context(
        self,
        term: LossTerm,
        selection: Selection,
        anchor: ModelOutputs,
        views: Mapping[str, ModelOutputs],
        progress: Progress,
        memory: Memory,
    ) -> StepContext:
        """Build a term's context with the passes that it declares, detached unless declared with gradient."""
        outputs = {view.name: views[view.name] if view.grad else detached(views[view.name]) for view in term.views}
        rows = {name: selection.outputs(each) for name, each in outputs.items()}
        others = {
            view.name: self.networks[view.network].classify for view in term.views if view.network in self.networks
        }
        return replace(self._base_context(selection, anchor, progress), views=rows, memory=memory, classifiers=others)

    def _base_context(self, selection: Selection, anchor: ModelOutputs, progress: Progress) -> StepContext:
        anchor = selection.outputs(anchor)
        return StepContext(
            selection.batch,
            anchor.logits,
            anchor.embedding_or_none,
            anchor.features,
            {},
            self._classify,
            self._classifier_weight(),
            progress,
            task=self.own_task,
            rows=selection.rows,
        )

    def passes(self, batch: Batch) -> tuple[ModelOutputs, dict[str, ModelOutputs]]:
        """Run the anchor's pass, concatenated with the joint passes, and each other pass by itself."""
        joint = [view for view in self.views if view.joint]
        inputs = [batch.inputs, *(inputs_of(view, batch) for view in joint)]
        anchor, *others = split(self._forward_student(concatenate_rows(inputs)), inputs)
        views = dict(zip((view.name for view in joint), others, strict=True))
        separate = {view.name: self._run_pass(view, batch) for view in self.views if not view.joint}
        return anchor, {**views, **separate}

    def _run_pass(self, view: ForwardPass, batch: Batch) -> ModelOutputs:
        inputs = inputs_of(view, batch)
        if view.network == "student":
            return self._forward_student(inputs, view.grad)
        with torch.set_grad_enabled(view.grad and torch.is_grad_enabled()):
            return to_float32(self.networks[view.network](inputs))

    def _forward_student(self, inputs: Inputs, grad: bool = True) -> ModelOutputs:
        self.taps.record(token_mask(inputs))
        with torch.set_grad_enabled(grad and torch.is_grad_enabled()):
            whole = call_model(self.student, inputs)
            logits, auxiliary = logits_of(whole, self.anatomy.output), self._auxiliary_logits(whole)
            features = self.taps.take()
            return to_float32(ModelOutputs(logits, features.pop("embedding", None), features, inputs, auxiliary))

    def _auxiliary_logits(self, output: object) -> tuple[Tensor, ...]:
        """Return the auxiliary logits in the student's output, in training if they have a weight."""
        if not (self.aux and self.student.training):
            return ()
        found = named_tensors(output)
        return tuple(found[name] for name in self.anatomy.auxiliary)

    def _classify(self, embedding: Tensor) -> Tensor:
        """Apply the student's classifier to embeddings, without gradient. [*, D] -> [*, C]."""
        with torch.no_grad():
            return apply_classifier(self.student, self.anatomy, embedding)

    def _classifier(self) -> nn.Module:
        return self.student.get_submodule(str(self.anatomy.classifier))

    def _classifier_weight(self) -> Tensor | None:
        if not self.anatomy.linear:
            return None
        weight = self._classifier().weight  # not `get_parameter`: it may be computed
        return at_least_fp32(cast(Tensor, weight)).flatten(1)

    def _has(self, name: str) -> bool:
        return name != "embedding" or self.anatomy.classifier is not None


def is_distillation_loss(loss: str) -> bool:
    """Return True for the name of a distillation loss: "guidance.mimic", or any single loss but "task"."""
    term, _, part = loss.partition(".")
    return part == "mimic" or (not part and term != "task")


def _named_losses(name: str, value: LossValue) -> dict[str, Tensor]:
    if isinstance(value, Tensor):
        return {name: value}
    return {f"{name}.{part}": loss for part, loss in value.items()}


def is_merged(term: LossTerm) -> bool:
    """Return True for a term whose head becomes a part of the student at the end."""
    return type(term).finish is not LossTerm.finish
