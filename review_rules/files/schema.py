"""JSON schemas of the policy and team files, so that editors complete and check them while people type."""

from __future__ import annotations

from review_rules.files.expressions import LONGEST, VARIABLES
from review_rules.files.policy import Acknowledge, Agree, Match, Order, Policy, ProposalFrom, QaWhen
from review_rules.files.team import EMAIL
from review_rules.values import Json, Kind, Role

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}


def policy_schema() -> dict[str, Json]:
    """The schema of policy.yaml; CEL expressions are checked only when the file is loaded.

    >>> policy_schema()["properties"]["passes"]["minimum"]
    1
    """
    default = Policy().to_json()
    properties: dict[str, dict[str, Json]] = {
        "version": {"const": 1, "description": "The version of this file's form."},
        "passes": {"type": "integer", "minimum": 1, "description": "People per row before QA."},
        "qa": {
            "type": "object",
            "description": "Which rows get QA.",
            "properties": {
                "when": {"enum": [when.value for when in QaWhen]},
                "share": _SHARE | {"description": "With `sample`: the share of rows, chosen by a hash of the row id."},
            },
            "required": ["when"],
            "additionalProperties": False,
            "if": {"properties": {"when": {"const": QaWhen.SAMPLE.value}}},
            "then": {"required": ["share"]},
            "else": {"properties": {"share": False}},
        },
        "expert_domains": {
            "description": "Domains of which a row needs an expert among its reviewers.",
            "type": "array",
            "items": {"type": "string", "minLength": 1, "not": {"enum": ["general", "*"]}},
            "uniqueItems": True,
        },
        "expert_quorum": {"type": "integer", "minimum": 1, "description": "Experts of the domain needed per row."},
        "escalate_when": {
            "description": f"CEL expressions over {', '.join(VARIABLES)}; true asks for QA and then for an expert.",
            "type": ["array", "null"],
            "items": {"type": "string", "minLength": 1, "maxLength": LONGEST},
        },
        "proposal": {
            "description": "What the next screen's proposal may rest on.",
            "enum": [proposal.value for proposal in ProposalFrom],
        },
        "fields": {
            "description": "How the answers of each field are compared.",
            "type": ["object", "null"],
            "additionalProperties": {"oneOf": [_measure_schema(agree) for agree in Agree]},
        },
        "prelabel": {
            "type": ["object", "null"],
            "properties": {"withhold": _SHARE | {"description": "Share of rows labelled without the auto-label."}},
            "additionalProperties": False,
        },
        "qualification": {
            "type": ["object", "null"],
            "description": "Rows with known answers that people get first, and the share that they must get right.",
            "properties": {
                "rows": {"type": "string", "minLength": 1, "description": "Their file, relative to this one."},
                "bar": _SHARE,
                "stages": {
                    "type": "object",
                    "description": "The bars of those who work at a review stage.",
                    "properties": {"qa": _SHARE, "expert": _SHARE},
                    "additionalProperties": False,
                },
                "domains": {
                    "type": "object",
                    "description": "The bars of experts of a domain, over the rows of that domain.",
                    "additionalProperties": _SHARE,
                },
                "fields": {
                    "type": "object",
                    "description": "Bars of single fields, which hold beside the others.",
                    "additionalProperties": _SHARE,
                },
                "weeks": {
                    "type": ["integer", "null"],
                    "minimum": 1,
                    "description": "After how many weeks it expires; null for never.",
                },
                "guidelines": {"type": "boolean", "description": "Whether a change of the guidelines ends it."},
            },
            "required": ["rows", "bar"],
            "additionalProperties": False,
        },
        "practice": {
            "type": ["object", "null"],
            "description": "Rows with known answers, on which people practise as often as they like.",
            "properties": {
                "rows": {"type": "string", "minLength": 1, "description": "Their file, relative to this one."},
                "paid": {"type": "boolean", "description": "Whether the time of it counts for pay."},
            },
            "required": ["rows"],
            "additionalProperties": False,
        },
        "skips": {
            "type": ["object", "null"],
            "description": "What people may skip.",
            "properties": {
                "per_day": {
                    "type": ["integer", "null"],
                    "minimum": 0,
                    "default": default["skips"]["per_day"],
                    "description": "Rows that a person may skip within 24 hours; null for as many as they like.",
                },
                "reason": {
                    "type": "boolean",
                    "default": default["skips"]["reason"],
                    "description": "Whether a skip says why.",
                },
            },
            "additionalProperties": False,
        },
        "order": {
            "description": "In which order rows of equal claim are handed out.",
            "enum": [order.value for order in Order],
        },
        "disputes": {
            "type": ["object", "null"],
            "description": "Whether people may dispute what became of their answers.",
            "properties": {
                "days": {
                    "type": ["integer", "null"],
                    "minimum": 0,
                    "default": default["disputes"]["days"],
                    "description": "For so many days after the decision; null for as long as it stands, 0 for never.",
                },
            },
            "additionalProperties": False,
        },
        "returns": {
            "type": ["object", "null"],
            "description": "Whether QA may give passes back to their people.",
            "properties": {
                "most": {"type": "integer", "minimum": 0, "description": "How often a row may be returned."},
            },
            "required": ["most"],
            "additionalProperties": False,
        },
        "guidelines": {
            "type": ["object", "null"],
            "description": "What people do before they go on under new guidelines.",
            "properties": {
                "acknowledge": {
                    "default": default["guidelines"]["acknowledge"],
                    "description": "Which versions people acknowledge before their next row: those that ask, or all.",
                    "enum": [word.value for word in Acknowledge],
                },
            },
            "additionalProperties": False,
        },
        "threads": {
            "type": ["object", "null"],
            "description": "What becomes of what people say in threads.",
            "properties": {
                "texts_in_exports": {
                    "type": "boolean",
                    "default": default["threads"]["texts_in_exports"],
                    "description": "Whether exports hold what was said, or only who said what kind of thing when.",
                },
            },
            "additionalProperties": False,
        },
        "targets": {
            "type": ["object", "null"],
            "description": "What the team aims at.",
            "properties": {
                "rows_per_hour": {"type": ["number", "null"], "minimum": 0},
                "agreement": _SHARE | {"type": ["number", "null"]},
                "accuracy": _SHARE | {"type": ["number", "null"]},
            },
            "additionalProperties": False,
        },
    }
    for name, schema in properties.items():
        schema["default"] = default[name]
    return {
        "$schema": _DIALECT,
        "title": "Quorum policy",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


def _measure_schema(agree: Agree) -> dict[str, Json]:
    settings: dict[str, Json] = {
        "match": {"enum": [match.value for match in Match], "default": Match.STRICT.value},
        "threshold": _SHARE | {"default": 1.0},
        "iou": _SHARE | {"default": 0.5},
        "tolerance": {"type": "number", "minimum": 0, "default": 0},
    }
    return {
        "type": "object",
        "properties": {
            "agree": {"const": agree.value},
            "kind": {"enum": [kind.value for kind in Kind if kind in agree.kinds]},
        }
        | {name: settings[name] for name in agree.settings},
        "required": ["agree"],
        "additionalProperties": False,
    }


def team_schema() -> dict[str, Json]:
    """The schema of team.yaml.

    >>> team_schema()["required"]
    ['people']
    """
    person = {
        "type": "object",
        "properties": {
            "id": {"type": "string", "minLength": 1, "description": "Stands in histories and certificates."},
            "email": {"type": "string", "pattern": f"^{EMAIL.pattern}$", "description": "The account's address."},
            "roles": {"type": "array", "items": {"enum": [role.value for role in Role]}},
            "expertise": {
                "type": ["array", "null"],
                "items": {"type": "string", "minLength": 1, "not": {"const": "*"}},
                "description": "Domains the person is an expert of.",
            },
            "left": {"type": ["string", "null"], "description": "The time, with an offset, from which they are gone."},
            "hours_per_week": {"type": ["number", "null"], "minimum": 0, "maximum": 168},
            "rate_per_hour": {"type": ["number", "null"], "minimum": 0},
            "former_emails": {
                "type": ["array", "null"],
                "items": {"type": "string", "pattern": f"^{EMAIL.pattern}$"},
                "description": "Addresses under which the person's accounts were made before.",
            },
        },
        "required": ["id", "roles"],
        "additionalProperties": False,
    }
    return {
        "$schema": _DIALECT,
        "title": "Quorum team",
        "type": "object",
        "properties": {"people": {"type": "array", "items": person}},
        "required": ["people"],
        "additionalProperties": False,
    }
