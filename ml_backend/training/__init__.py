"""This room trains heads from adjudicated gold, and measures them by grouped cross-validation."""

from typing import Final

PACKAGES: Final = ("torch", "transformers", "sklearn")
"""What training imports of the extra `transformers`."""
