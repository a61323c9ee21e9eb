"""Readers of label formats, one a file; ``registry`` names them."""
