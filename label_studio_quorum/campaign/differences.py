"""Whether a file says what the server goes by, and where it does not: by what is written, not by how."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields
from hashlib import sha256
from typing import Any, Final

from label_studio_quorum.port import Json
from ls_config.interface import Control, Interface, carried_checks, parse_all
from review_rules import Person, Policy, Team
from review_rules.canonical_json import canonical_text, json_text

_MOST: Final = 6
_LONGEST: Final = 24
_SHORT: Final = 19


def short(digest: str) -> str:
    """The beginning of a hash, as people compare it.

    >>> short("sha256:0123456789abcdef")
    'sha256:0123456789ab…'
    """
    return f"{digest[:_SHORT]}…" if len(digest) > _SHORT else digest


def team_digest(team: Team) -> str:
    """The hash of everything a team file says, addresses, hours and rates too, in whatever order it was written.

    >>> from review_rules import load_team
    >>> short(team_digest(load_team("people: [{id: a, roles: [qa]}]")))
    'sha256:e4058019c0d0…'
    """
    content = [_content(team.people[person]) for person in sorted(team.people)]
    return "sha256:" + sha256(canonical_text(content).encode("utf-8", "surrogatepass")).hexdigest()


def _content(person: Person) -> Json:
    """Everything that the file says of a person; what decisions rest on in the form in which the rules hash it.

    What is not said is left out, so that a key that is new changes no hash of a file without it.
    """
    every = {part.name: getattr(person, part.name) for part in fields(person)}
    listed_values = {key: list(value) if isinstance(value, tuple) else value for key, value in every.items()}
    return {key: value for key, value in (listed_values | person.to_json()).items() if value not in (None, "", [])}


def team_differences(file: Team, server: Team) -> tuple[str, ...]:
    """Each person whom a file and the server tell otherwise, with the keys that differ; empty if they say the same.

    >>> from review_rules import load_team
    >>> team_differences(load_team("people: [{id: a, roles: [qa]}]"), load_team("people: [{id: b, roles: [qa]}]"))
    ('a is only in the file', 'b is only on the server')
    """
    mine = {str(person.id): _content(person) for person in file.people.values()}
    theirs = {str(person.id): _content(person) for person in server.people.values()}
    return tuple(_entries(mine, theirs))


def _entries(mine: Mapping[str, Mapping[str, Any]], theirs: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Each entry that is on one side only, or has other values there."""
    for name in sorted({*mine, *theirs}):
        if name not in theirs:
            yield f"{name} is only in the file"
        elif name not in mine:
            yield f"{name} is only on the server"
        elif keys := _differing(mine[name], theirs[name]):
            yield f"{name} ({', '.join(keys)})"


def policy_differences(file: Policy, server: Policy) -> tuple[str, ...]:
    """Each key that a policy file and the server's policy give another value; empty if they say the same.

    >>> from review_rules import load_policy
    >>> policy_differences(load_policy("passes: 3"), load_policy("passes: 2"))
    ('passes (3 in the file, 2 on the server)',)
    """
    mine, theirs = file.to_json(), server.to_json()
    return tuple(_values(key, mine.get(key), theirs.get(key)) for key in _differing(mine, theirs))


def _differing(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    return [key for key in sorted({*mine, *theirs}) if json_text(mine.get(key)) != json_text(theirs.get(key))]


def _values(key: str, mine: Any, theirs: Any) -> str:
    """A key with both values, where they are short enough for a line."""
    texts = json_text(mine), json_text(theirs)
    if max(map(len, texts)) > _LONGEST:
        return key
    return f"{key} ({texts[0]} in the file, {texts[1]} on the server)"


def interface_differences(file: Interface, xml: str) -> str:
    """In what an interface of this machine differs from the server's XML, for one line; empty if they are the same.

    Raises:
        InterfaceError: The server's XML cannot be used.
    """
    if plain(file.xml) == plain(xml):
        return ""
    mine = {control.name: _asked(control) for control in file.all_controls}
    theirs = {control.name: _asked(control) for control in parse_all(xml)}
    other_checks = ["other checks"] if plain(file.checks) != plain(carried_checks(xml)) else []
    return listed([*_entries(mine, theirs), *other_checks]) or "the look alone"


def _asked(control: Control) -> dict[str, Any]:
    """What a control asks for, wherever it stands."""
    return {key: value for key, value in asdict(control).items() if key not in ("name", "line", "colors")}


def plain(text: str) -> str:
    """Interface or guidelines as Label Studio keeps them apart: it cleans HTML on the way in, quotes and space alike.

    >>> plain('<View a="1">  </View>') == plain("<View a=&quot;1&quot;></View>")
    True
    """
    return "".join(text.replace("&quot;", '"').replace("&#39;", "'").split())


def interface_digest(xml: str, guidelines_html: str) -> str:
    """The hash of what people see: the interface and the guidelines, as a project holds them."""
    text = canonical_text([plain(xml), plain(guidelines_html)])
    return "sha256:" + sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def listed(differences: Iterable[str]) -> str:
    """The differences for one line; a count stands for what is too much.

    >>> listed(["a", "b"])
    'a; b'
    """
    every = list(differences)
    more = [f"{len(every) - _MOST} more"] if len(every) > _MOST else []
    return "; ".join([*every[:_MOST], *more])


def differing_team(file: Team, server: Team) -> str:
    """In what a team file differs from the server's team, with both hashes; empty if they say the same."""
    differences = team_differences(file, server)
    hashes = f"file {short(team_digest(file))}, server {short(team_digest(server))}"
    return f"{listed(differences)} ({hashes})" if differences else ""


def differing_policy(file: Policy, server: Policy) -> str:
    """In what a policy file differs from the server's policy, with both hashes; empty if they say the same."""
    differences = policy_differences(file, server)
    hashes = f"file {short(file.hash)}, server {short(server.hash)}"
    return f"{listed(differences)} ({hashes})" if differences else ""
