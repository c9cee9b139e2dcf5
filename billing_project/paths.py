"""Where things lie in a checkout."""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
# Everything the portal makes while it runs: data of the embedded services, collected assets, mail.
VAR_DIR = Path(os.environ.get("VAR_DIR") or BASE_DIR / "var").absolute()
