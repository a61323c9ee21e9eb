"""Labels and other metadata: readers, sync into ``meta/``, and alignment with media."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainset.metadata.base import Reader
    from trainset.model import Credentials
    from trainset.spec import MetadataSource


def open_reader(source: MetadataSource, credentials: Credentials | None = None) -> Reader:
    """The reader of one ``metadata:`` entry of the spec.

    Args:
        credentials: of the bucket that holds the files; None: from the environment.
    Raises:
        InputError: the place is not there or of no known kind.
    """
    if source.format == "label-studio-api":
        from trainset.metadata.labels.label_studio_api import open_label_studio

        return open_label_studio(source.name, source.from_)
    from trainset.metadata.places import open_file_reader
    from trainset.metadata.reading import TableOptions

    return open_file_reader(
        source.name,
        source.from_,
        format_=source.format,
        options=TableOptions(media_column=source.media_column, sheet=source.sheet),
        credentials=credentials,
    )
