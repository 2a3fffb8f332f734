"""One run's configuration, in full."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from math import inf
from typing import Any, Literal, get_args

from selfdistill.errors import UserError

Schedule = Literal["cosine", "step"]
Precision = Literal["32", "bf16", "16"]
Decode = Literal["auto", "once", "stream"]
Accelerator = Literal["auto", "cpu", "gpu", "cuda", "mps"]
Strategy = Literal["auto", "ddp", "fsdp"]
CompileMode = Literal["default", "reduce-overhead", "max-autotune"]
CHOICES = {
    "schedule": Schedule,
    "accelerator": Accelerator,
    "precision": Precision,
    "strategy": Strategy,
    "compile_mode": CompileMode,
    "decode": Decode,
}


@dataclass(frozen=True)
class RunConfig:
    """The configuration of a run: the same configuration on the same machine gives the same weights.

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
    generation: int = 0  # a teacher's is one above its student's: other initial weights, at the same seed and data
    limit: int | None = None  # training images
    validation: float = 0.0  # share of the training images held out
    label_noise: float = 0.0  # share of the training labels made wrong
    skip_unreadable: bool = False  # leave out images that cannot be read
    size: int | None = None  # pixels of a side; None: the data's own
    pretrained: bool = False
    weights: str | None = None  # a file
    classifier: str | None = None  # path of the module that makes the logits
    accelerator: Accelerator = "auto"
    precision: Precision = "32"
    devices: int = 1  # on each machine, a process for each
    nodes: int = 1  # machines
    strategy: Strategy = "auto"  # how processes share the work
    sync_batchnorm: bool = False  # batch statistics over all processes
    accumulate: int = 1  # parts of a process's batch, passed one after the other
    clip_norm: float | None = None  # of the gradient, at most
    compile: bool = False
    compile_mode: CompileMode = "default"  # of torch.compile
    decode: Decode = "auto"  # when files become pixels; changes nothing of what is trained

    def __post_init__(self) -> None:
        object.__setattr__(self, "milestones", tuple(self.milestones))
        for name, fits, wanted in self._rules():
            if not fits:
                raise UserError(f"{name.replace('_', ' ')} must be {wanted}, but is {getattr(self, name)}")

    @property
    def parts(self) -> int:
        """Into how many parts a batch is cut: for processes, and for passes one after the other."""
        return self.devices * self.nodes * self.accumulate

    def seedless(self) -> "RunConfig":
        """Return the recipe: the same configuration at seed 0."""
        return replace(self, seed=0, generation=0)

    def to_json(self) -> dict[str, Any]:
        """Give the fields that the weights depend on, as JSON knows them."""
        values = asdict(self) | {"milestones": list(self.milestones)}
        return {key: value for key, value in values.items() if key != "decode"}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "RunConfig":
        """Read what `to_json` gave; fields of other versions are left out."""
        known = {field.name for field in fields(cls)}
        return cls(**{key: value for key, value in values.items() if key in known})

    def _rules(self) -> Iterator[tuple[str, bool, str]]:
        """Each field that has a range, whether its value lies there, and the range in words."""
        yield "epochs", self.epochs >= 1, "1 or more"
        yield "batch_size", self.batch_size >= 1, "1 or more"
        yield "lr", 0 < self.lr < inf, "above 0"
        yield "momentum", 0 <= self.momentum < 1, "from 0 to below 1"
        yield "weight_decay", 0 <= self.weight_decay < inf, "0 or more"
        yield "milestones", all(0 < each < 1 for each in self.milestones), "shares between 0 and 1"
        yield "gamma", 0 < self.gamma < inf, "above 0"
        yield "warmup", 0 <= self.warmup <= self.epochs, f"from 0 to the {self.epochs} epochs"
        yield "limit", self.limit is None or self.limit >= 1, "1 or more"
        yield "validation", 0 <= self.validation < 1, "a share from 0 to below 1"
        yield "label_noise", 0 <= self.label_noise < 1, "a share from 0 to below 1"
        yield "size", self.size is None or self.size >= 1, "1 or more"
        yield "devices", self.devices >= 1, "1 or more"
        yield "nodes", self.nodes >= 1, "1 or more"
        yield "accumulate", self.accumulate >= 1, "1 or more"
        yield "clip_norm", self.clip_norm is None or 0 < self.clip_norm < inf, "above 0"
        yield (
            "batch_size",
            self.batch_size % max(self.parts, 1) == 0,
            f"a multiple of the {self.parts} parts it is cut into (devices, nodes, accumulate)",
        )
        yield (
            "compile_mode",
            self.compile or self.compile_mode == "default",
            "'default' unless the step is compiled: add --compile (in Python, compile=True)",
        )
        yield (
            "compile_mode",
            self.compile_mode != "reduce-overhead" or self.devices * self.nodes == 1,
            "'default' with several processes: their collectives cannot be part of a CUDA graph",
        )
        for name, kind in CHOICES.items():
            yield name, getattr(self, name) in get_args(kind), " or ".join(get_args(kind))
