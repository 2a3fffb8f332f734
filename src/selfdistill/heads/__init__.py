"""Auxiliary heads on features: classifiers, discriminators, projections, regressors, fusions."""

from selfdistill.heads.category import CategoryHeads
from selfdistill.heads.classifier import ExitHead, GlobalPool, HalvingPool, LightHead, StageHeads, TokenHead, make_head
from selfdistill.heads.discriminator import MapAlignment, discrimination_loss
from selfdistill.heads.ema import EMAHeads
from selfdistill.heads.feature_attention import FeatureAttention
from selfdistill.heads.fusion import AttentiveFusion, JoinedEmbeddings, JoinedMaps, attentive_fusions
from selfdistill.heads.gated import GatedHead, SeparableConv
from selfdistill.heads.gram_attention import GramAttention
from selfdistill.heads.hints import AdaptedHints, Hints, MapHints, make_hints
from selfdistill.heads.projection import UnitLinear, matching_loss, original_index, original_similarity, projection
from selfdistill.heads.pyramid import Pyramid
from selfdistill.heads.regressors import Bottleneck, GaussianRegressor, regressor
from selfdistill.heads.relation import ClassRelation, PairHead, PairHeads
from selfdistill.heads.temperature import CurriculumTemperature
from selfdistill.heads.vector_pyramid import VectorPyramid

__all__ = [
    "AdaptedHints",
    "AttentiveFusion",
    "Bottleneck",
    "CategoryHeads",
    "ClassRelation",
    "CurriculumTemperature",
    "EMAHeads",
    "ExitHead",
    "FeatureAttention",
    "GatedHead",
    "GaussianRegressor",
    "GlobalPool",
    "GramAttention",
    "HalvingPool",
    "Hints",
    "JoinedEmbeddings",
    "JoinedMaps",
    "LightHead",
    "MapAlignment",
    "MapHints",
    "PairHead",
    "PairHeads",
    "Pyramid",
    "SeparableConv",
    "StageHeads",
    "TokenHead",
    "UnitLinear",
    "VectorPyramid",
    "attentive_fusions",
    "discrimination_loss",
    "make_head",
    "make_hints",
    "matching_loss",
    "original_index",
    "original_similarity",
    "projection",
    "regressor",
]
