"""What people see: labeling interfaces, their loader, and Label Studio's result JSON."""

from ls_config.compose import compose_review
from ls_config.loader import Control, Interface, InterfaceError, label_types, load, parse, parse_all
from ls_config.results import ParsedResult, ResultError, from_result, to_result

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
