"""What QA and experts see of the work before theirs: the decisions side by side, as HTML for the review interface.

Label Studio puts the value of a `<HyperText>` tag into the page with every tag and attribute but scripts and iframes.
So nothing that people typed and nothing of the row may become markup here: every value goes through `Markup.format`,
which escapes it, and the only literal HTML in this module is in its templates.

The panel carries its values also as data, for the script that draws the conflicts as a screen of their own: as a part
of the panel, so that whoever may see the one may see the other, and nobody else sees either.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from label_studio_quorum.campaign.doubtful import lacking_answers
from ls_config.interface import Control, Interface
from review_rules import Decision, Kind, RowHistory, Stage, Submission
from review_rules.canonical import Key, element_key, key

__all__ = ["panel_data", "shown_passes", "value_text"]

Json = Any

DATA_VERSION: Final = 1
"""The form of the values for the screen's script, which leaves a panel of another form to Label Studio's tags."""

_PLAIN_COLOR: Final = re.compile(r"#[0-9a-fA-F]{3,8}|[a-zA-Z]{1,24}")
_AUTO: Final = "Auto-label"
_WHOLE: Final = 220
"""Texts up to so many characters are shown whole; of longer ones, what is around the spans that differ."""
_AROUND: Final = 80
_LONG: Final = frozenset({Kind.SPANS, Kind.TEXT, Kind.BOXES, Kind.SEGMENTS})


@dataclass(frozen=True, kw_only=True, slots=True)
class _Column:
    """One decision as it is shown: its unnamed title, its values by field, and what came with it."""

    title: str
    values: Mapping[str, Json]
    flags: tuple[str, ...] = ()
    reason: str = ""
    is_pass: bool = False


def panel_data(history: RowHistory, decision: Decision, interface: Interface, stage: Stage | str) -> dict[str, str]:
    """The task data keys that the review panel of `ls_config.compose_review` shows.

    The passes are unnamed and in an order that depends on the row id only, so QA and expert see the same row the same
    way round, and a second run makes the same task.

    Args:
        history: The row's history, as `decide` got it.
        decision: What `decide` says about it.
        interface: The team's label interface.
        stage: qa or expert; an expert also sees the reviews before.

    Returns:
        `{"panel": HTML}`, in which everything people typed, and the row's own text, is escaped.
    """
    passes = _pass_columns(history, decision)
    reviews = _review_columns(history, decision) if stage == Stage.EXPERT else []
    auto = [_Column(title=_AUTO, values=history.auto_label)] if history.auto_label else []
    table = _Table(history=history, decision=decision, interface=interface, passes=passes, others=[*reviews, *auto])
    return {"panel": str(table.html())}


def shown_passes(decision: Decision, row_id: str) -> list[int]:
    """The places of the counted passes in the order in which the panel shows them."""
    counted = decision.counted.get(Stage.PASS, ())
    return [counted[index] for index in _shuffled(len(counted), row_id)]


def _pass_columns(history: RowHistory, decision: Decision) -> list[_Column]:
    shown = [history.passes[index] for index in shown_passes(decision, str(history.row_id))]
    return [
        _Column(
            title=f"Decision {chr(ord('A') + place)}" if place < 26 else f"Decision {place + 1}",
            values=submission.values,
            flags=submission.flags,
            reason=submission.reason,
            is_pass=True,
        )
        for place, submission in enumerate(shown)
    ]


def _review_columns(history: RowHistory, decision: Decision) -> list[_Column]:
    return [
        _Column(
            title=f"{stage.heading}: {review.word.value if review.word else 'no decision'}",
            values=review.values,
            flags=review.flags,
            reason=review.reason,
        )
        for stage in (Stage.QA, Stage.EXPERT)
        for review in _counted(history.submissions(stage), decision, stage)
    ]


def _counted(submissions: Sequence[Submission], decision: Decision, stage: Stage) -> list[Submission]:
    return [submissions[index] for index in decision.counted.get(stage, ())]


def _shuffled(count: int, row_id: str) -> list[int]:
    """The numbers below `count` in an order that only the row id decides.

    >>> sorted(_shuffled(3, "r1")), _shuffled(2, "r1") == _shuffled(2, "r1")
    ([0, 1, 2], True)
    """
    return sorted(range(count), key=lambda place: hashlib.sha256(f"{row_id}\0{place}".encode()).digest())


@dataclass(frozen=True, kw_only=True, slots=True)
class _Table:
    """The panel: a row for each field that needs a look, one line for the rest."""

    history: RowHistory
    decision: Decision
    interface: Interface
    passes: Sequence[_Column]
    others: Sequence[_Column]

    @property
    def columns(self) -> list[_Column]:
        return [*self.passes, *self.others]

    def html(self) -> Markup:
        # What takes several lines comes last, so that the short answers are read at a glance.
        controls = sorted(self.interface.controls, key=lambda control: control.kind in _LONG)
        conflicts = [control for control in controls if self._in_conflict(control)]
        # What QA changed although the passes agreed is what the expert is asked about, so it is not folded away.
        changed = [control for control in controls if control not in conflicts and self._changed_in_review(control)]
        agreed = [control for control in controls if control not in conflicts and control not in changed]
        rows = Markup("").join(
            [
                self._said(),
                *(self._row(control, "qp-conflict") for control in conflicts),
                *(self._row(control, "qp-changed") for control in changed),
            ]
        )
        head = Markup("").join(Markup("<th>{}</th>").format(column.title) for column in self.columns)
        return Markup(
            '<table class="qp"><thead><tr><th>{}</th>{}</tr></thead><tbody>{}</tbody></table>{}{}{}{}'
        ).format(
            _summary(len(conflicts), len(controls)),
            head,
            rows,
            self._agreed(agreed),
            self._asked(),
            self._returned() + self._lacking(),
            self._data(conflicts, changed),
        )

    def _data(self, conflicts: Iterable[Control], changed: Iterable[Control]) -> Markup:
        """What the panel shows once more, for the screen's script: the same decisions in the same order."""
        names = {control.name for control in self.interface.controls}
        reviews = [column for column in self.others if column.title != _AUTO]
        data = {
            "version": DATA_VERSION,
            "decisions": [_as_data(column, names) for column in self.passes],
            "opinions": [_as_data(column, names) for column in reviews],
            "auto": _plain_values(self.history.auto_label, names),
            "conflicts": [control.name for control in conflicts],
            "changed": [control.name for control in changed],
            "proposal": _plain_values(
                {name: proposed.value for name, proposed in self.decision.proposal.items()}, names
            ),
            "asks": self._expertise(),
        }
        return Markup('<div hidden class="qp-data" data-decisions="{}"></div>').format(json.dumps(data))

    def _in_conflict(self, control: Control) -> bool:
        compared = self.decision.comparison.get(control.name)
        return compared is not None and not compared.agreed

    def _changed_in_review(self, control: Control) -> bool:
        passed = [key(Kind.of(control.kind), column.values.get(control.name)) for column in self.passes]
        return any(
            control.name in column.values and key(Kind.of(control.kind), column.values[control.name]) not in passed
            for column in self.others
            if column.title != _AUTO
        )

    def _row(self, control: Control, css: str) -> Markup:
        cells = Markup("").join(
            Markup('<td dir="auto">{}</td>').format(self._cell(control, column)) for column in self.columns
        )
        return Markup('<tr class="{}"><th>{}</th>{}</tr>').format(css, _title(control), cells)

    def _cell(self, control: Control, column: _Column) -> Markup:
        value = column.values.get(control.name)
        text = self._text(control)
        shared = self._shared(control)
        # The auto-label may be of a model that cut the text differently; it is listed and not drawn.
        if value and text and column.title != _AUTO:
            return _marked_text(control, text, value, shared, self._excerpt(control, text, shared))
        return _value(control, value, shared)

    def _text(self, control: Control) -> str:
        """The text that the spans of a field are on; empty for other fields."""
        field = self.history.fields.get(control.name)
        return (field.text or "") if control.kind == Kind.SPANS and field is not None else ""

    def _excerpt(self, control: Control, text: str, shared: frozenset[Key]) -> list[tuple[int, int]]:
        """The parts of the text to show, the same for every column, so that they can be compared line by line."""
        # Below this, cutting saves no scrolling and costs the context.
        if len(text) <= _WHOLE:
            return [(0, len(text))]
        differing = [
            span
            for column in self.columns
            for span in column.values.get(control.name) or ()
            # What all agree on needs no look, and would fill the panel of a long answer.
            if element_key(Kind.of(control.kind), span) not in shared
        ]
        return _windows(text, differing) or [(0, len(text))]

    def _shared(self, control: Control) -> frozenset[Key]:
        """Keys of the set elements that every pass has; the others are marked."""
        if not control.is_set:
            return frozenset()
        kind = Kind.of(control.kind)
        each = [
            {element_key(kind, element) for element in column.values.get(control.name) or ()} for column in self.passes
        ]
        return frozenset.intersection(*map(frozenset, each)) if each else frozenset()

    def _said(self) -> Markup:
        """The row of flags and reasons, if anybody gave any."""
        if not any(column.flags or column.reason for column in self.columns):
            return Markup("")
        cells = Markup("").join(Markup("<td>{}</td>").format(self._words(column)) for column in self.columns)
        return Markup('<tr class="qp-said"><th>Flags, reasons</th>{}</tr>').format(cells)

    def _words(self, column: _Column) -> Markup:
        chips = Markup("").join(
            Markup('<span class="qp-chip">{}</span>').format(self._flag(flag)) for flag in column.flags
        )
        quote = Markup('<div class="qp-quote" dir="auto">{}</div>').format(column.reason) if column.reason else ""
        return chips + quote

    def _flag(self, flag: str) -> str:
        titles = {label: control.title(label) for control in self.interface.reserved for label in control.labels}
        return titles.get(flag, flag)

    def _agreed(self, controls: Iterable[Control]) -> Markup:
        items = Markup("").join(self._agreed_item(control) for control in controls)
        return Markup('<div class="qp-agreed"><b>Agreed</b> {}</div>').format(items) if items else Markup("")

    def _agreed_item(self, control: Control) -> Markup:
        by_key = {key(Kind.of(control.kind), column.values.get(control.name)): column for column in self.passes}
        answers = Markup(" / ").join(_value(control, column.values.get(control.name)) for column in by_key.values())
        auto = self.history.auto_label
        differs = control.name in auto and key(Kind.of(control.kind), auto[control.name]) not in by_key
        note = (
            Markup(' <span class="qp-auto">(auto-label: {})</span>').format(_value(control, auto[control.name]))
            if differs
            else ""
        )
        return Markup('<span class="qp-item" dir="auto">{}: {}{}</span> ').format(_title(control), answers, note)

    def _asked(self) -> Markup:
        """Whose expertise the row waits for."""
        asks = self._expertise()
        return Markup('<div class="qp-agreed">{}</div>').format(asks) if asks else Markup("")

    def _expertise(self) -> str:
        """The same in words; empty where it waits for none."""
        step = self.decision.next
        if step is None or not step.requires:
            return ""
        domains = [domain for domain in step.requires if domain != "*"]
        who = f"somebody who knows {' and '.join(domains)} content" if domains else "an expert"
        return f"This row asks for {who}."

    def _returned(self) -> Markup:
        """Why the row went back to its people before; the passes above are those that came in again."""
        line = Markup('<div class="qp-agreed">Returned before this: <span class="qp-quote" dir="auto">{}</span></div>')
        returns = [self.history.qa[place] for place in self.decision.returns]
        return Markup("").join(line.format(review.reason) for review in returns)

    def _lacking(self) -> Markup:
        """Why the row is asked for once more, where an answer lacked something and its person was not told."""
        step = self.decision.next
        lacking = () if step is None else dict.fromkeys(lacking_answers(self.decision, step.stage))
        line = Markup('<div class="qp-agreed">An earlier answer here does not count: {}.</div>')
        return Markup("").join(line.format(cause) for cause in lacking)


def _as_data(column: _Column, names: Collection[str]) -> Json:
    """A column without anything that could tell who is behind it."""
    return {
        "title": column.title,
        "values": _plain_values(column.values, names),
        "flags": list(column.flags),
        "reason": column.reason,
    }


def _plain_values(values: Mapping[str, Json], names: Collection[str]) -> dict[str, Json]:
    """The values of these fields, spans without the text that they carry, which the row has anyway."""
    return {
        name: [_without_text(element) for element in value] if isinstance(value, list) else value
        for name, value in values.items()
        if name in names and value is not None
    }


def _without_text(element: Json) -> Json:
    return {key: part for key, part in element.items() if key != "text"} if isinstance(element, Mapping) else element


def _summary(conflicts: int, fields: int) -> Markup:
    if not conflicts:
        return Markup("No conflict")
    return Markup('<span class="qp-alarm">{} of {} in conflict</span>').format(conflicts, fields)


def _title(control: Control) -> str:
    return control.name.replace("_", " ").capitalize()


def _value(control: Control, value: Json, shared: frozenset[Key] | None = None) -> Markup:
    """A value as people read it; elements of a set that are not in `shared` are marked."""
    if value is None:
        return Markup('<span class="qp-none">no answer</span>')
    if control.is_set:
        if not value:
            return Markup('<span class="qp-none">none</span>')
        return _chips(control, value, shared)
    if control.kind == Kind.TEXT:
        return Markup('<div class="qp-text" dir="auto">{}</div>').format(value)
    if control.kind == Kind.CHOICE:
        return Markup("{}").format(control.title(str(value)))
    return Markup("{}").format(value)


def value_text(control: Control, value: Json) -> str:
    """A value as people read it, as text without markup: what is shown elsewhere than on a review screen.

    >>> from ls_config.interface import load
    >>> value_text(load("classification").controls[0], None)
    'no answer'
    """
    if control.is_set:
        return ", ".join(_element(control, element) for element in value or ()) or "none"
    if value is None:
        return "no answer"
    return control.title(str(value)) if control.kind == Kind.CHOICE else str(value)


def _chips(control: Control, value: Sequence[Json], shared: frozenset[Key] | None) -> Markup:
    """The elements of a set; of long sets only those that not every pass has, and how many the others are."""
    # Choices are short and few, and people look for what is missing from the list.
    if shared is None or control.kind not in _LONG:
        return Markup("").join(_chip(control, element, shared) for element in value)
    own = [element for element in value if element_key(Kind.of(control.kind), element) not in shared]
    chips = Markup("").join(_chip(control, element, shared) for element in own)
    same = len(value) - len(own)
    return chips + (Markup('<span class="qp-none">{} that all have</span>').format(f"+ {same}") if same else "")


def _chip(control: Control, element: Json, shared: frozenset[Key] | None) -> Markup:
    css = "" if shared is None or element_key(Kind.of(control.kind), element) in shared else " qp-only"
    return Markup('<span class="qp-chip{}" dir="auto">{}</span>').format(css, _element(control, element))


def _element(control: Control, element: Json) -> str:
    if not isinstance(element, Mapping):
        return control.title(str(element))
    label = control.title(str(element.get("label")))
    if control.kind == Kind.SPANS:
        return f"{label} {element.get('text') or _range(element)}"
    if control.kind == Kind.SEGMENTS:
        return f"{label} {_range(element)} s"
    return f"{label} at {element.get('x')}, {element.get('y')} ({element.get('width')} × {element.get('height')} %)"


def _range(element: Mapping[str, Json]) -> str:
    return f"{element.get('start')}–{element.get('end')}"


def _windows(text: str, spans: Iterable[Mapping[str, Json]]) -> list[tuple[int, int]]:
    """The parts of a text around these spans, cut between words, those that meet joined.

    >>> _windows("a " * 200, [{"start": 200, "end": 202}])
    [(120, 283)]
    """
    windows: list[tuple[int, int]] = []
    for start, end in sorted((span["start"], span["end"]) for span in spans):
        left = max(0, text.rfind(" ", 0, max(0, start - _AROUND)) + 1)
        right = text.find(" ", min(len(text), end + _AROUND))
        right = len(text) if right < 0 else right
        if windows and left <= windows[-1][1]:
            windows[-1] = (windows[-1][0], max(windows[-1][1], right))
        else:
            windows.append((left, right))
    return windows


def _marked_text(
    control: Control,
    text: str,
    spans: Sequence[Mapping[str, Json]],
    shared: frozenset[Key],
    windows: Sequence[tuple[int, int]],
) -> Markup:
    """The text in these windows with the spans on it; those that are not in `shared` are marked."""
    parts = Markup(" … ").join(_marked_window(control, text, spans, shared, window) for window in windows)
    before = "… " if windows[0][0] > 0 else ""
    after = " …" if windows[-1][1] < len(text) else ""
    return Markup('<div class="qp-text" dir="auto">{}{}{}</div>').format(before, parts, after)


def _marked_window(
    control: Control,
    text: str,
    spans: Sequence[Mapping[str, Json]],
    shared: frozenset[Key],
    window: tuple[int, int],
) -> Markup:
    low, high = window
    inside = [span for span in spans if span["start"] < high and low < span["end"]]
    edges = {low, high, *(span[edge] for span in inside for edge in ("start", "end") if low < span[edge] < high)}
    return Markup("").join(
        _piece(
            control,
            text[start:end],
            [span for span in inside if span["start"] <= start and end <= span["end"]],
            end,
            shared,
        )
        for start, end in itertools.pairwise(sorted(edges))
    )


def _piece(
    control: Control, text: str, covering: Sequence[Mapping[str, Json]], end: int, shared: frozenset[Key]
) -> Markup:
    if not covering:
        return Markup("{}").format(text)
    only = any(element_key(Kind.of(control.kind), span) not in shared for span in covering)
    labels = ", ".join(control.title(str(span["label"])) for span in covering if span["end"] == end)
    return Markup('<span class="qp-span{}" style="--qp-color:{}">{}{}</span>').format(
        " qp-only" if only else "",
        _color(control, str(covering[0]["label"])),
        text,
        Markup("<sup>{}</sup>").format(labels) if labels else "",
    )


def _color(control: Control, label: str) -> str:
    """The label's colour from the interface, if it is a plain one; anything else could carry style of its own."""
    color = dict(zip(control.labels, control.colors, strict=True)).get(label, "")
    return color if _PLAIN_COLOR.fullmatch(color) else "gray"
