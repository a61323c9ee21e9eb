"""Prefect tasks: retry, cache, names and artifacts around one line of delegation to trainset."""
