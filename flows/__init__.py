"""Flows, in the order of the data's way; ``python -m flows --help`` lists them."""
