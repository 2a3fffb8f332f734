"""Published tables, by name."""

from collections.abc import Mapping

from selfdistill.study.papers.bake import BAKE
from selfdistill.study.papers.crd import CRD
from selfdistill.study.papers.cs_kd import CS_KD
from selfdistill.study.papers.mdistiller import DKD, DOT
from selfdistill.study.papers.ps_kd import PS_KD
from selfdistill.study.papers.published import Published, PublishedValue
from selfdistill.study.papers.self_kd_lib import SELF_KD_LIB
from selfdistill.study.papers.tf_kd import TF_KD

PAPERS: Mapping[str, Published] = {
    "self-kd-lib": SELF_KD_LIB,
    "cs-kd": CS_KD,
    "ps-kd": PS_KD,
    "tf-kd": TF_KD,
    "bake": BAKE,
    "crd": CRD,
    "dkd": DKD,
    "dot": DOT,
}

__all__ = ["PAPERS", "Published", "PublishedValue"]
