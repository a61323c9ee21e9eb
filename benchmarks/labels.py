"""Reading label files: trainset and its peers on the same files.

    python benchmarks/labels.py [--quick] [--json]

200,000 labels of 20,000 images (a tenth with --quick), in each format. Every reader is a process of
its own: CPU seconds and peak memory count Python and its imports too. Peers: labelformat where it
is installed, and json with pandas, which parses and checks nothing.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from pathlib import Path

from label_files import WRITE
from measure import Results, arguments
from processes import Usage, measured

IMAGES, QUICK_IMAGES = 20_000, 2_000
OURS = (
    "import sys; from trainset.metadata.labels import read_labels; "
    "assert read_labels(sys.argv[1], sys.argv[2]).num_rows == int(sys.argv[3])"
)
PLAIN = {  # format -> parse with json, make a table with pandas
    "coco": (
        "import json, sys, pandas; top = json.load(open(sys.argv[1])); "
        "assert len(pandas.DataFrame(top['annotations'])) == int(sys.argv[3])"
    ),
    "label_studio": (
        "import json, sys, pandas; top = json.load(open(sys.argv[1])); "
        "rows = [r for t in top for a in t['annotations'] for r in a['result']]; "
        "assert len(pandas.json_normalize(rows)) == int(sys.argv[3])"
    ),
}
LABELFORMAT = {
    "coco": (
        "import sys; from pathlib import Path; "
        "from labelformat.formats import COCOObjectDetectionInput as Input; "
        "n = sum(len(l.objects) for l in Input(input_file=Path(sys.argv[1])).get_labels()); "
        "assert n == int(sys.argv[3])"
    ),
}


def main() -> int:
    options = arguments(__doc__.splitlines()[0])
    images = QUICK_IMAGES if options.quick else IMAGES
    peers = {"json+pandas": PLAIN}
    if importlib.util.find_spec("labelformat") is not None:
        peers["labelformat"] = LABELFORMAT
    else:
        print("labelformat is left out: install it to compare", file=sys.stderr)
    results = Results()
    for name, write in WRITE.items():
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            place = write(Path(folder), images)
            ours = _read(OURS, place, name, images)
            theirs = {
                peer: _read(code[name], place, name, images)
                for peer, code in peers.items()
                if name in code
            }
        figure = f"{name}_{images // 100}k"
        for field, unit, ending in (("cpu_s", "s", "_cpu"), ("rss_mb", "MB", "_rss")):
            results.add(
                figure + ending,
                getattr(ours, field),
                unit,
                peers={peer: getattr(used, field) for peer, used in theirs.items()},
            )
    if options.json:
        results.print_json()
    return 0


def _read(code: str, place: Path, name: str, images: int) -> Usage:
    labels = str(images * 10)
    return measured([sys.executable, "-c", code, str(place), name.replace("_", "-"), labels])


if __name__ == "__main__":
    sys.exit(main())
