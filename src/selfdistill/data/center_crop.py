"""The transform of images that are not cropped at random: resize the shorter side, then crop the center."""

from dataclasses import dataclass
from typing import Final

from selfdistill.records import Interpolation, RunInfo


@dataclass(frozen=True)
class CenterCrop:
    """Resize of the shorter side to `size / crop_pct` pixels, then the center crop of `size` pixels a side.

    `crop_pct` is above 0 and at most 1; `interpolation` is bilinear or bicubic, with antialiasing.
    """

    crop_pct: float = 1.0
    interpolation: Interpolation = "bicubic"

    def shorter(self, size: int) -> int:
        """Return the length of the shorter side before a crop of `size` pixels a side.

        >>> CenterCrop(crop_pct=0.875).shorter(224)
        256
        """
        return round(size / self.crop_pct)

    def __str__(self) -> str:
        return f"crop_pct {self.crop_pct:.4g}, {self.interpolation}"


WHOLE: Final = CenterCrop()  # the shorter side lies all in the crop


def recorded_crop(info: RunInfo) -> CenterCrop:
    """Return the center crop of a run's test images, from its run.json; records of earlier versions have none."""
    return CenterCrop(info.get("crop_pct", 1.0), info.get("interpolation", "bicubic"))
