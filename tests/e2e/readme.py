"""The README's command blocks: those that have a comment `<!-- e2e: name -->` on the line before them.

`python3 readme.py NAME` prints one, so that a script can run it.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^<!-- e2e: (?P<name>[a-z-]+) -->\n```sh\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks():
    """The marked blocks by name, in the order of the text."""
    readme = (ROOT / "README.md").read_text()
    found = {}
    for match in BLOCK.finditer(readme):
        if match["name"] in found:
            sys.exit(f"README.md has two blocks with the name {match['name']}")
        found[match["name"]] = match["text"]
    if len(found) != readme.count("<!-- e2e:"):
        sys.exit("README.md has a marker that no block of the language sh follows")
    return found


if __name__ == "__main__":
    print(blocks()[sys.argv[1]], end="")
