"""Training: heads from adjudicated gold, measured by grouped cross-validation."""

from typing import Final

PACKAGES: Final = ("torch", "transformers", "sklearn")
"""What training imports of the extra `transformers`."""
