"""This room holds what people see: labeling interfaces, their loader, and Label Studio's result JSON."""

from ls_config.interface import Control, Interface, InterfaceError, label_types, load, parse, parse_all
from ls_config.results import ParsedResult, ResultError, from_result, to_result
from ls_config.review_screen import compose_review

__all__ = [
    "Control",
    "Interface",
    "InterfaceError",
    "ParsedResult",
    "ResultError",
    "compose_review",
    "from_result",
    "label_types",
    "load",
    "parse",
    "parse_all",
    "to_result",
]
