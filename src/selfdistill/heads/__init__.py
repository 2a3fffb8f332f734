"""What terms put on a network's features: small classifiers, projections, regressors, fusions."""

from selfdistill.heads.classifier import Exit, Halve, LightHead, Pool, TokenHead, head
from selfdistill.heads.discriminator import Resemblance, told_apart
from selfdistill.heads.ema import Averages
from selfdistill.heads.fusion import AttentiveFusion, JoinedEmbeddings, JoinedMaps
from selfdistill.heads.gated import GatedHead, SeparableConv
from selfdistill.heads.hints import AdaptedHints, Hints, MapHints
from selfdistill.heads.projection import UnitLinear, found, originals, projection
from selfdistill.heads.pyramid import Pyramid
from selfdistill.heads.regressors import Guess, regressor

__all__ = [
    "AdaptedHints",
    "AttentiveFusion",
    "Averages",
    "Exit",
    "GatedHead",
    "Guess",
    "Halve",
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
