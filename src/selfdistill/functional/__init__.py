"""The maths of self-distillation: pure functions of tensors, without state or modules."""

from selfdistill.functional.divergence import (
    against_rest,
    correlated,
    decoupled,
    kl,
    kl_to,
    kl_trusted,
    kl_where,
    mutual,
    normalized,
    soft_cross_entropy,
    softened,
    standardized,
)
from selfdistill.functional.features import alike, as_map, attention, pooled, resized, same_size, width
from selfdistill.functional.nce import contrast, log_normaliser
from selfdistill.functional.normalize import FAINT, correlation, directed, length, spread, standard, unit, without
from selfdistill.functional.ranking import agreed_ranks, among_rest, ranked, trusted, zipf
from selfdistill.functional.relations import angles, distances, gaussian, gram, neighbour_shares, offsets, similarity
from selfdistill.functional.running_mean import averaged, class_sums, moved
from selfdistill.functional.spatial_pyramid import coarse, hierarchical

__all__ = [
    "FAINT",
    "against_rest",
    "agreed_ranks",
    "alike",
    "among_rest",
    "angles",
    "as_map",
    "attention",
    "averaged",
    "class_sums",
    "coarse",
    "contrast",
    "correlated",
    "correlation",
    "decoupled",
    "directed",
    "distances",
    "gaussian",
    "gram",
    "hierarchical",
    "kl",
    "kl_to",
    "kl_trusted",
    "kl_where",
    "length",
    "log_normaliser",
    "moved",
    "mutual",
    "neighbour_shares",
    "normalized",
    "offsets",
    "pooled",
    "ranked",
    "resized",
    "same_size",
    "similarity",
    "soft_cross_entropy",
    "softened",
    "spread",
    "standard",
    "standardized",
    "trusted",
    "unit",
    "width",
    "without",
    "zipf",
]
