"""Parameters of a network by stage."""

from bisect import bisect_left

from torch import nn

from selfdistill.features import Anatomy


def stage_parameters(student: nn.Module, anatomy: Anatomy) -> list[list[nn.Parameter]]:
    """Return the parameters of each stage, in the order of the modules, and of the layers behind the last stage.

    A parameter belongs to the first stage that ends at its module or behind it; without stages there is one list.
    """
    modules = [name for name, _ in student.named_modules()]
    ends = sorted(_last_inside(modules, each.path) for each in anatomy.stages)
    parameters: list[list[nn.Parameter]] = [[] for _ in range(len(ends) + 1)]
    for place, name in enumerate(modules):
        parameters[bisect_left(ends, place)] += student.get_submodule(name).parameters(recurse=False)
    return parameters


def _last_inside(modules: list[str], path: str) -> int:
    return max(place for place, name in enumerate(modules) if f"{name}.".startswith(f"{path}."))
