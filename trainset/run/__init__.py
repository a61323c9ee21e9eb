"""One run of the data's way, step by step, without an orchestrator.

Flows call these steps as tasks; ``local.run_pipeline`` calls them in the same order in one process,
for notebooks. Each step takes a ``RunContext`` (data), opens what it needs, is safe to repeat, and
returns a small report.
"""
