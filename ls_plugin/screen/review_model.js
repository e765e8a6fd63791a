/* What a review decides, without a screen: conflicts, whose value stands, what counts as changed. Everything here is pure,
   so that it can be tried on any page. Values are as in the rules: spans are half-open and in code points. */
window.quorumReview = (() => {
  "use strict";

  const VERSION = 1;
  const SETS = new Set(["choices", "spans", "boxes", "segments"]);
  const LETTERS = "abc";
  /* What the rules take for white space; that of regular expressions is another set. */
  const SPACE = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/u;

  /* The decisions that the server put into the panel; null for a panel that carries none, or carries them in another form. */
  function parsePanel(html) {
    const carrier = new DOMParser().parseFromString(String(html || ""), "text/html").querySelector("[data-decisions]");
    if (!carrier) return null;
    const panel = JSON.parse(carrier.dataset.decisions);
    return panel.version === VERSION ? panel : null;
  }

  function isSet(kind) {
    return SETS.has(kind);
  }

  /* --- the same value ------------------------------------------------------------------------------------------------- */

  function elementKey(kind, element) {
    if (kind === "spans" || kind === "segments") return JSON.stringify([element.start, element.end, element.label]);
    if (kind === "boxes") {
      return JSON.stringify([element.x, element.y, element.width, element.height, element.label]);
    }
    return String(element);
  }

  /* What equal values share: sets without order and repetition, text after NFC with runs of white space as one space. */
  function valueKey(kind, value) {
    if (isSet(kind)) return JSON.stringify([...new Set((value || []).map((part) => elementKey(kind, part)))].sort());
    if (value === null || value === undefined) return "";
    return kind === "text" ? value.normalize("NFC").split(SPACE).filter(Boolean).join(" ") : JSON.stringify(value);
  }

  function same(kind, one, other) {
    return valueKey(kind, one) === valueKey(kind, other);
  }

  /* Names of the fields whose value is not the one that the form opened with. */
  function changedFields(fields, form, proposal) {
    return fields.filter((field) => !same(field.kind, form[field.name], proposal[field.name])).map((field) => field.name);
  }

  /* Accept or correct: the word follows from what was done. */
  function wordFor(fields, form, proposal) {
    return changedFields(fields, form, proposal).length ? "correct" : "accept";
  }

  /* The decisions that settle no value: each says why, and nothing else. */
  function asksWhy(word) {
    return word === "escalate" || word === "discard" || word === "return";
  }

  /* --- whose value stands ----------------------------------------------------------------------------------------------- */

  /* A, B, … as people read it: "Decision A" is A. */
  function letter(decision, place) {
    return /^Decision (\S+)$/.exec(decision.title)?.[1] || String(place + 1);
  }

  /* The letters of the decisions that say exactly this value. */
  function sayers(field, value, decisions) {
    return decisions
      .map((decision, place) => [letter(decision, place), decision.values[field.name]])
      .filter(([, said]) => same(field.kind, said, value))
      .map(([name]) => name);
  }

  /* Everything that somebody could take with one key: what the decisions say first, the rest as the interface has it. */
  function options(field, decisions) {
    const values = [];
    for (const decision of decisions) {
      const said = decision.values[field.name];
      if (said !== undefined && said !== null && !values.some((value) => same(field.kind, value, said))) values.push(said);
    }
    for (const label of field.labels) if (!values.includes(label.value)) values.push(label.value);
    return values.map((value, place) => ({
      value,
      title: field.labels.find((label) => label.value === value)?.title ?? String(value),
      hint: field.labels.find((label) => label.value === value)?.hint || "",
      sayers: sayers(field, value, decisions),
      key: place < 9 ? String(place + 1) : place === 9 ? "0" : "",
    }));
  }

  /* The points of a scale and the items of a set, each with its digit; who says it is told beside it. */
  function items(field, decisions) {
    return field.labels.map((label, place) => ({
      value: label.value,
      title: label.title,
      short: label.short ?? label.title,
      hint: label.hint || "",
      key: field.kind === "rating" ? String(label.value) : place < 9 ? String(place + 1) : place === 9 ? "0" : "",
      sayers: decisions
        .map((decision, at) => [letter(decision, at), decision.values[field.name]])
        .filter(([, said]) => (isSet(field.kind) ? (said || []).includes(label.value) : said === label.value))
        .map(([name]) => name),
    }));
  }

  function union(field, decisions) {
    const all = new Map();
    for (const decision of decisions) {
      for (const element of decision.values[field.name] || []) all.set(elementKey(field.kind, element), element);
    }
    return [...all.values()];
  }

  function common(field, decisions) {
    return union(field, decisions).filter((element) => decisions.every((decision) =>
      (decision.values[field.name] || []).some((said) => same(field.kind, [said], [element]))));
  }

  /* The elements of a set of spans, in the order of the text: those of the decisions and those that only the form has. */
  function elements(field, value, decisions, left = new Set()) {
    const listed = new Map();
    const add = (element) => {
      const key = elementKey(field.kind, element);
      if (!listed.has(key)) listed.set(key, { ...element, key, sayers: [] });
      return listed.get(key);
    };
    decisions.forEach((decision, place) => {
      for (const element of decision.values[field.name] || []) add(element).sayers.push(letter(decision, place));
    });
    const kept = new Set((value || []).map((element) => add(element).key));
    return [...listed.values()]
      .map((element) => ({
        ...element,
        isCommon: decisions.length > 0 && element.sayers.length === decisions.length,
        state: kept.has(element.key) ? "kept" : left.has(element.key) ? "dropped" : "open",
      }))
      .sort((one, other) => one.start - other.start || one.end - other.end || (one.label < other.label ? -1 : 1));
  }

  function overlaps(one, other) {
    return one.start < other.end && other.start < one.end;
  }

  /* What has to be decided before an accept or a correction can be sent: a field in conflict without a value, or with
     elements that are neither kept nor left out. */
  function isOpen(field, form, panel, left, touched) {
    if (!panel.conflicts.includes(field.name)) return false;
    if (!isSet(field.kind)) return form[field.name] === null || form[field.name] === undefined || form[field.name] === "";
    if (field.kind !== "spans" && touched.has(field.name)) return false;
    /* A majority, or a QA that corrected, has decided it before. */
    if (!same(field.kind, panel.proposal[field.name], common(field, panel.decisions))) return false;
    if (field.kind !== "spans") return true;
    return elements(field, form[field.name], panel.decisions, left).some((element) => element.state === "open");
  }

  /* --- text --------------------------------------------------------------------------------------------------------------- */

  /* Code points of a text as an array, so that offsets of the rules are its indexes. */
  function codePoints(text) {
    return Array.from(text);
  }

  /* The next edge of a word from an offset, in code points; the text's end where there is none. */
  function wordEdge(points, offset, step) {
    const isWord = (at) => /[\p{L}\p{N}\p{M}_]/u.test(points[at] || "");
    let at = offset;
    const next = () => (step > 0 ? at : at - 1);
    const inside = () => next() >= 0 && next() < points.length;
    while (inside() && !isWord(next())) at += step;
    while (inside() && isWord(next())) at += step;
    return at;
  }

  /* The nearest offset that lies `step` words on, also where the edge of a mark is in the middle of one: narrowing from the
     end by one word stops at the word before. */
  function moved(points, span, edge, step) {
    const to = { ...span, [edge]: wordEdge(points, span[edge], step) };
    const trimmed = edge === "end" && step < 0
      ? { ...to, end: to.end - trailing(points, to.start, to.end) }
      : edge === "start" && step > 0 ? { ...to, start: to.start + leading(points, to.start, to.end) } : to;
    return trimmed.start < trimmed.end ? trimmed : span;
  }

  function trailing(points, start, end) {
    let spaces = 0;
    while (end - spaces > start && /\s/u.test(points[end - spaces - 1])) spaces += 1;
    return spaces;
  }

  function leading(points, start, end) {
    let spaces = 0;
    while (start + spaces < end && /\s/u.test(points[start + spaces])) spaces += 1;
    return spaces;
  }

  /* A text cut at the edges of marks: [{text, marks}], which together are the whole text. */
  function pieces(points, marks) {
    const edges = new Set([0, points.length]);
    for (const mark of marks) {
      edges.add(Math.max(0, Math.min(points.length, mark.start)));
      edges.add(Math.max(0, Math.min(points.length, mark.end)));
    }
    const places = [...edges].sort((one, other) => one - other);
    return places.slice(1).map((end, place) => ({
      text: points.slice(places[place], end).join(""),
      marks: marks.filter((mark) => mark.start <= places[place] && end <= mark.end),
      end,
    }));
  }

  return {
    LETTERS, parsePanel, isSet, same, elementKey, changedFields, wordFor, asksWhy, letter, sayers, options, items, union, common,
    elements, overlaps, isOpen, codePoints, wordEdge, moved, pieces,
  };
})();
