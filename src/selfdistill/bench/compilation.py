"""Time to compile a training step, and the step from which it pays."""

from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True)
class Compilation:
    """Compilation of a method's step beside its eager step."""

    seconds: float  # of the first steps, above those of later ones
    eager_ms: float
    compiled_ms: float

    @property
    def pays_from(self) -> int | None:
        """Return the first step at which the compiled run is ahead; None for a compiled step that is not faster.

        >>> Compilation(60.0, eager_ms=30.0, compiled_ms=20.0).pays_from
        6000
        """
        gain = (self.eager_ms - self.compiled_ms) / 1000
        return ceil(self.seconds / gain) if gain > 0 else None


def in_words(method: str, found: Compilation) -> str:
    """Describe a compilation in a line.

    >>> in_words("ce()", Compilation(60.0, eager_ms=30.0, compiled_ms=20.0))
    'compiled ce(): 60.0 s to compile, 20.0 ms a step, 30.0 ms eager: pays from step 6,000'
    """
    end = "never pays" if found.pays_from is None else f"pays from step {found.pays_from:,}"
    times = f"{found.compiled_ms:.1f} ms a step, {found.eager_ms:.1f} ms eager"
    return f"compiled {method}: {found.seconds:.1f} s to compile, {times}: {end}"
