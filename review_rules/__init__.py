"""What is decided: pure functions over frozen values.

`decide(history, team, policy)` is the only place where it is decided what happens to a row; docs/rules.md says how.
"""

from review_rules.decide import decide
from review_rules.files.faults import Fault, FaultsError
from review_rules.files.policy import Policy, load_policy, withheld
from review_rules.files.team import Person, Team, load_team, may_take
from review_rules.findings import Finding
from review_rules.parse import HistoryError, parse_history, parse_submission
from review_rules.values import (
    Certificate,
    Decision,
    Field,
    FieldComparison,
    FinalValue,
    Instant,
    Kind,
    NextStep,
    Origin,
    PersonId,
    Proposed,
    Role,
    RowHistory,
    RowId,
    Stage,
    State,
    Submission,
    Word,
)

__all__ = [
    "Certificate",
    "Decision",
    "Fault",
    "FaultsError",
    "Field",
    "FieldComparison",
    "FinalValue",
    "Finding",
    "HistoryError",
    "Instant",
    "Kind",
    "NextStep",
    "Origin",
    "Person",
    "PersonId",
    "Policy",
    "Proposed",
    "Role",
    "RowHistory",
    "RowId",
    "Stage",
    "State",
    "Submission",
    "Team",
    "Word",
    "decide",
    "load_policy",
    "load_team",
    "may_take",
    "parse_history",
    "parse_submission",
    "withheld",
]
