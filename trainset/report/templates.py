"""How the pages are made from their templates: everything escaped, one style, no other file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainset.report import wording

if TYPE_CHECKING:
    from jinja2 import Environment


def page_templates() -> Environment:
    """The templates of this folder, with the words that all pages use."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("trainset.report", "."),
        autoescape=True,  # keys, labels and errors come from outside
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"size": wording.size, "short": wording.short}
    environment.globals["many"] = wording.many
    return environment
