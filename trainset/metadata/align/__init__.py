"""Alignment: which medium each label record means, and what is odd about both."""

from trainset.metadata.align.match import METHODS, Alignment, align_annotations, left_out
from trainset.metadata.align.report import AlignReport

__all__ = ["METHODS", "AlignReport", "Alignment", "align_annotations", "left_out"]
