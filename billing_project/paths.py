"""Where things lie in a checkout."""

from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
# Everything the portal makes while it runs: data of the embedded services, collected assets, mail.
VAR_DIR = BASE_DIR / "var"
