"""What ``<meta>`` of a CVAT export says of the videos that its tracks are of."""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

from trainset.metadata.records import BadRecord


@dataclass(frozen=True)
class Videos:
    """Video names by task id."""

    by_task: dict[str, str] = field(default_factory=dict)

    @property
    def all(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.by_task.values()))

    @classmethod
    def of(cls, meta: ET.Element) -> Videos:
        """Read ``<meta>``: of one task or job, or of a project with its tasks."""
        found: dict[str, str] = {}
        outer = (meta.findtext("source") or "").strip()
        for task in meta.iter():
            if task.tag not in ("task", "job"):
                continue
            source = (task.findtext("source") or "").strip() or outer
            if source:
                found[(task.findtext("id") or "").strip()] = source
        if not found and outer:
            found[""] = outer
        return cls(found)

    def of_task(self, task: str | None) -> str:
        """The video of a track.

        Raises:
            BadRecord: its name is not told.
        """
        if task is not None and task in self.by_task:
            return self.by_task[task]
        if len(self.all) == 1:
            return self.all[0]
        raise BadRecord(
            "no-media-ref",
            "the export does not name the video of this track; for tasks made of images export "
            "as 'CVAT for images 1.1', for a project export each task by itself",
        )
