"""A small dataset that trainset draws itself, and a tiny OpenCLIP that knows just its world."""

from trainset.sample.write import sample_scenes, write_sample

__all__ = ["sample_scenes", "write_sample"]
