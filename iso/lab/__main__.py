"""`python -m iso.lab HOME`: run the lab that `<HOME>/lab/spec.json` describes, in the foreground."""

import sys
from pathlib import Path

from iso.lab.process import main

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m iso.lab HOME")
    sys.exit(main(Path(sys.argv[1])))
