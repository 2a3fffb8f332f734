"""Precision of losses: at least float32, also under autocast."""

import torch
from torch import Tensor, nn

from selfdistill.terms import ModelOutputs


def reference_tensor(student: nn.Module) -> Tensor:
    """Return a zero on the student's device, in its dtype or at least float32. -> []."""
    return at_least_fp32(next(student.parameters()).detach().new_zeros(()))


def no_autocast(on: Tensor) -> torch.autocast:
    """Return a context that disables autocast on a tensor's device."""
    return torch.autocast(on.device.type, enabled=False)


def at_least_fp32(values: Tensor) -> Tensor:
    """Convert float16 and bfloat16 to float32; other dtypes pass unchanged."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def to_float32(outputs: ModelOutputs) -> ModelOutputs:
    """Convert all outputs of a pass to at least float32."""
    embedding = None if outputs.embedding_or_none is None else at_least_fp32(outputs.embedding)
    features = {name: at_least_fp32(each) for name, each in outputs.features.items()}
    auxiliary = tuple(map(at_least_fp32, outputs.auxiliary))
    return ModelOutputs(at_least_fp32(outputs.logits), embedding, features, outputs.inputs, auxiliary)
