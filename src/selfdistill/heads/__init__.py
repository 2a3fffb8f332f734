"""What terms put on a network's features: small classifiers, projections, regressors, fusions."""

from selfdistill.heads.classifier import AvgPool2x2, ExitHead, LightHead, Pool, TokenHead, head
from selfdistill.heads.discriminator import Resemblance, told_apart
from selfdistill.heads.ema import EMAHeads
from selfdistill.heads.fusion import AttentiveFusion, JoinedEmbeddings, JoinedMaps
from selfdistill.heads.gated import GatedHead, SeparableConv
from selfdistill.heads.hints import AdaptedHints, Hints, MapHints
from selfdistill.heads.projection import UnitLinear, found, originals, projection
from selfdistill.heads.pyramid import Pyramid
from selfdistill.heads.regressors import GaussianRegressor, regressor

__all__ = [
    "AdaptedHints",
    "AttentiveFusion",
    "AvgPool2x2",
    "EMAHeads",
    "ExitHead",
    "GatedHead",
    "GaussianRegressor",
    "Hints",
    "JoinedEmbeddings",
    "JoinedMaps",
    "LightHead",
    "MapHints",
    "Pool",
    "Pyramid",
    "Resemblance",
    "SeparableConv",
    "TokenHead",
    "UnitLinear",
    "found",
    "head",
    "originals",
    "projection",
    "regressor",
    "told_apart",
]
