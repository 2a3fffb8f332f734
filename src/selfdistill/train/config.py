"""One run's configuration, in full."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from selfdistill.errors import UserError

Schedule = Literal["cosine", "step"]
Precision = Literal["32", "bf16"]


@dataclass(frozen=True)
class RunConfig:
    """What a run depends on: the same configuration on the same machine gives the same weights.

    Raises `UserError` for values that no run could have.
    """

    method: str  # an expression
    data: str = "digits"
    model: str = "resnet8"
    epochs: int = 20
    batch_size: int = 64  # images a step, over all processes
    lr: float = 0.1  # at the peak
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    decay_norms: bool = True  # weight decay on norms and biases too
    schedule: Schedule = "cosine"
    milestones: tuple[float, ...] = (0.5, 0.75)  # shares of the run at which "step" lowers the rate
    gamma: float = 0.1  # what "step" multiplies the rate with
    warmup: int = 0  # epochs over which the rate grows
    seed: int = 0
    limit: int | None = None  # training images
    validation: float = 0.0  # share of the training images held out
    size: int | None = None  # pixels of a side; None: the data's own
    pretrained: bool = False
    weights: str | None = None  # a file
    classifier: str | None = None  # path of the module that makes the logits
    accelerator: str = "auto"
    precision: Precision = "32"

    def __post_init__(self) -> None:
        object.__setattr__(self, "milestones", tuple(self.milestones))
        for name in ("epochs", "batch_size"):
            _require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        _require(self.limit is None or self.limit >= 1, "limit", self.limit, "1 or more")
        _require(self.lr > 0, "lr", self.lr, "above 0")
        _require(0 <= self.momentum < 1, "momentum", self.momentum, "from 0 to below 1")
        _require(self.weight_decay >= 0, "weight_decay", self.weight_decay, "0 or more")
        _require(0 <= self.validation < 1, "validation", self.validation, "a share from 0 to below 1")
        _require(0 <= self.warmup <= self.epochs, "warmup", self.warmup, f"from 0 to the {self.epochs} epochs")
        _require(self.schedule in get_args(Schedule), "schedule", self.schedule, " or ".join(get_args(Schedule)))
        _require(
            self.precision in get_args(Precision),
            "precision",
            self.precision,
            " or ".join(get_args(Precision)),
        )

    def to_json(self) -> dict[str, Any]:
        """Give the fields as JSON knows them."""
        return asdict(self) | {"milestones": list(self.milestones)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "RunConfig":
        """Read what `to_json` gave; fields of other versions are left out."""
        known = {field.name for field in fields(cls)}
        return cls(**{key: value for key, value in values.items() if key in known})


def _require(fits: bool, name: str, value: Any, wanted: str) -> None:
    if not fits:
        raise UserError(f"{name.replace('_', ' ')} must be {wanted}, but is {value}")
