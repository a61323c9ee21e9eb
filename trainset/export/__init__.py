"""Training exports: shards of one commit, with a manifest that names every sample.

``run_export(dataset, name, spec)`` writes ``HOME/exports/<name>/``, ``plan_export`` says what that
would write, ``verify_export(folder)`` hashes it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainset.export.run import plan_export, run_export
    from trainset.export.verify import verify_export

__all__ = ["plan_export", "run_export", "verify_export"]


def __getattr__(name: str) -> Any:
    # Lazy: writers need pyarrow.parquet, which `import trainset` should not pay for.
    if name in ("plan_export", "run_export"):
        from trainset.export import run

        return getattr(run, name)
    if name == "verify_export":
        from trainset.export.verify import verify_export

        return verify_export
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
