"""Versions on a lakeFS server: see ``store`` (the contract), ``runs`` and ``home``."""
