"""Content of a checkpoint, checked before a run takes it: kinds, ranges, keys and shapes, random states."""

import random
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NotRequired, TypedDict

import numpy as np
import torch
from torch import Tensor

from selfdistill.records import Amount, AnyEpoch
from selfdistill.schema import between, mismatches, short_repr
from selfdistill.train.persist.checkpoint import CheckpointError, State

Counter = Annotated[int, between(0, 10**9, "whole number")]


class BestState(TypedDict):
    """The best epoch on validation images; epoch 0 and score -1 before any."""

    epoch: Counter
    score: Annotated[float, between(-1, 100)]
    weights: dict[str, Tensor]


class RankState(TypedDict):
    """State that differs between ranks."""

    memories: list[dict[str, object]]
    random: dict[str, object]
    tally: Tensor | None


class BalanceState(TypedDict):
    """State of the balance of terms in the first epoch, and their weights after it."""

    steps: Counter  # taken
    norms: Tensor  # [terms, 2] sums of the norms of the task's and the term's gradients
    weights: dict[str, Amount]  # of terms, once fixed


class CheckpointState(TypedDict):
    """Contents of a checkpoint apart from weights: `Trainer.state_dict`."""

    config: dict[str, object]
    student: dict[str, Tensor]
    terms: dict[str, Tensor]
    networks: dict[str, object]
    optimizer: dict[str, object]
    memories: dict[str, object]
    ranks: list[RankState]
    epoch: Counter
    step: Counter
    log: list[AnyEpoch]
    best: BestState
    seconds: Amount
    step_seconds: list[Amount]
    balance: NotRequired[BalanceState]


def require_kinds(state: object) -> None:
    """Raise `CheckpointError` where a key is missing, or a value of another kind."""
    if wrong := next(mismatches(state, CheckpointState), None):
        raise CheckpointError(f"{wrong}")


def require_progress(state: State, epochs: int, steps: int) -> None:
    """Raise `CheckpointError` for counters that a run of `epochs` epochs of `steps` steps cannot have."""
    epoch, step, log = state["epoch"], state["step"], state["log"]
    if epoch > epochs or step >= steps or (step and epoch == epochs):
        raise CheckpointError(f"epoch {epoch}, step {step} lies outside of the {epochs} epochs of {steps} steps")
    if [row["epoch"] for row in log] != list(range(1, epoch + 1)):
        raise CheckpointError(f"its log must have a row for each of the {epoch} epochs, but has {len(log)}")
    for each in state["ranks"]:
        rows = 0 if each["tally"] is None else len(each["tally"]) if each["tally"].dim() == 2 else -1
        if rows != step:
            raise CheckpointError(f"its losses must be those of {step} steps, but have another shape")


def require_balance(state: State, norms: Tensor, weights: Mapping[str, float]) -> None:
    """Raise `CheckpointError` for norms of gradients and weights of another method."""
    found = state.get("balance")
    if found is None:
        raise CheckpointError("its balance is missing")
    require_alike(found["norms"], norms, "balance.norms")
    if found["weights"] and found["weights"].keys() != weights.keys():
        raise CheckpointError("balance.weights are those of other terms")


def require_alike(found: object, wanted: object, place: str, *, rows: bool = True) -> None:
    """Raise `CheckpointError` where keys, kinds or shapes differ; without `rows`, tensors may differ in length."""
    if isinstance(wanted, Tensor):
        _require_tensor(found, wanted, place, rows)
    elif isinstance(wanted, Mapping):
        for key, each in _same_keys(found, wanted, place).items():
            require_alike(each, wanted[key], f"{place}.{key}", rows=rows)
    elif isinstance(wanted, list | tuple):
        if not isinstance(found, list | tuple) or len(found) != len(wanted):
            raise CheckpointError(f"{place} must have {len(wanted)} parts")
        for number, pair in enumerate(zip(found, wanted, strict=True)):
            require_alike(*pair, f"{place}[{number}]", rows=rows)


# State of the shape of its parameter; other optimizers keep factors, rows and columns of it.
LIKE_PARAMETERS = {"momentum_buffer", "exp_avg", "exp_avg_sq", "max_exp_avg_sq", "task_momentum", "mimic_momentum"}


def require_optimizer(state: State, groups: Sequence[Mapping[str, Any]]) -> None:
    """Raise `CheckpointError` for the state of an optimizer with other parameter groups."""
    parameters = [each for group in groups for each in group["params"]]
    found = state.get("param_groups")
    if not isinstance(found, list) or [_length(each) for each in found] != [len(each["params"]) for each in groups]:
        raise CheckpointError("optimizer.param_groups are those of other parameters")
    if [number for group in found for number in group["params"]] != list(range(len(parameters))):
        raise CheckpointError(f"optimizer.param_groups must number the parameters from 0 to {len(parameters) - 1}")
    for given, group in zip(found, groups, strict=True):
        for key in group.keys() - {"params", "lr"}:
            if key in given and given[key] != group[key]:
                raise CheckpointError(f"optimizer's {key} must be {group[key]}, but is {short_repr(given[key])}")
    states = state.get("state")
    if not isinstance(states, Mapping):
        raise CheckpointError("optimizer.state must be an object")
    for number, each in states.items():
        if not isinstance(number, int) or not 0 <= number < len(parameters) or not isinstance(each, Mapping):
            raise CheckpointError(f"optimizer.state has {short_repr(number)}, which is no parameter")
        for key, value in each.items():
            if key in LIKE_PARAMETERS and isinstance(value, Tensor) and value.dim():
                _require_tensor(value, parameters[number], f"optimizer.state.{number}.{key}", rows=True)


def require_random(state: State) -> None:
    """Raise `CheckpointError` for states that no random generator takes."""
    try:
        torch.Generator().set_state(state["cpu"])
        keys, *place = state["numpy"]
        np.random.RandomState().set_state(("MT19937", keys.numpy().astype(np.uint32), *place))
        random.Random().setstate(state["python"])
    except (AttributeError, KeyError, OverflowError, RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(f"its random states cannot be set ({type(error).__name__})") from None


def _require_tensor(found: object, wanted: Tensor, place: str, rows: bool) -> None:
    first = 0 if rows else 1
    if not isinstance(found, Tensor):
        raise CheckpointError(f"{place} must be a tensor, but is {short_repr(found)}")
    if found.dim() != wanted.dim() or found.shape[first:] != wanted.shape[first:]:
        raise CheckpointError(f"{place} must have the shape {list(wanted.shape)}, but has {list(found.shape)}")
    if found.is_floating_point() != wanted.is_floating_point():
        raise CheckpointError(f"{place} must be of kind {wanted.dtype}, but is of {found.dtype}")


def _same_keys(found: object, wanted: Mapping[str, object], place: str) -> Mapping[str, object]:
    if not isinstance(found, Mapping):
        raise CheckpointError(f"{place} must be an object, but is {short_repr(found)}")
    if missing := [key for key in wanted if key not in found]:
        raise CheckpointError(f"{place}.{missing[0]} is missing ({len(missing)} in all)")
    if more := [key for key in found if key not in wanted]:
        raise CheckpointError(f"{place}.{short_repr(more[0])} is not part of this run ({len(more)} in all)")
    return found


def _length(group: object) -> int:
    return len(group["params"]) if isinstance(group, Mapping) and isinstance(group.get("params"), list) else -1
