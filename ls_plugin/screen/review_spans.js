/* The texts of a review, with the spans of everybody on one of them, and what keys do to a span. */
(() => {
  "use strict";

  const review = window.quorumReview;
  const { element } = window.quorum;
  const STATES = { kept: "kept", dropped: "left out", open: "not decided" };

  /* --- drawing ------------------------------------------------------------------------------------------------------------- */

  /* What draws a text with marks {id, start, end, label, color, classes, title} and finds again what is selected in it, all in
     code points of the source. Where texts are shown rendered, the part that renders them does both. */
  const drawText = {
    draw(box, source, marks) {
      const isRendered = window.quorumReading && !drawText.isWritten();
      if (!isRendered) {
        views.delete(box);
        drawPlain(box, source, marks);
        return;
      }
      const view = views.get(box);
      if (view) {
        view.latest = marks;
        view.drawn?.mark(marks);
        return;
      }
      const begun = { latest: marks, drawn: null };
      views.set(box, begun);
      window.quorumReading.marks(box, source, marks).then((drawn) => {
        if (views.get(box) !== begun) return;
        begun.drawn = drawn;
        drawn.mark(begun.latest);
        window.quorum.drawSoon();
      }).catch((fault) => {
        console.error("Quorum: a text is shown as it is written:", fault);
        drawPlain(box, source, begun.latest);
      });
    },
    selection(box) {
      const selected = getSelection();
      if (!selected.rangeCount || selected.isCollapsed) return null;
      const range = selected.getRangeAt(0);
      if (!box.contains(range.startContainer) || !box.contains(range.endContainer)) return null;
      const view = views.get(box)?.drawn;
      if (!view) return plainSelection(box, range);
      const units = view.unitsOf(range);
      const place = units && view.sourceOf(...units);
      return place && place[0] < place[1] ? { start: place[0], end: place[1] } : null;
    },
    /* Whether somebody has chosen to see texts as they are written. */
    isWritten: () => localStorage.getItem("quorum-texts") === "written",
  };
  const views = new WeakMap();

  function drawPlain(box, source, marks) {
    box.replaceChildren(...review.pieces(review.codePoints(source), marks).map((piece) =>
      (piece.marks.length ? markElement(piece) : document.createTextNode(piece.text))));
  }

  function plainSelection(box, range) {
    const before = document.createRange();
    before.selectNodeContents(box);
    before.setEnd(range.startContainer, range.startOffset);
    const start = review.codePoints(before.toString()).length;
    const length = review.codePoints(range.toString()).length;
    return length ? { start, end: start + length } : null;
  }

  /* Where marks overlap, a piece carries all of them; what it looks like is that of the one in hand, else of the last. */
  function markElement(piece) {
    const chosen = piece.marks.find((mark) => mark.classes.includes("qr-current")) || piece.marks.at(-1);
    const names = new Set(piece.marks.flatMap((mark) => mark.classes));
    const made = element("mark", { class: [...names].join(" "), "data-span": chosen.id }, piece.text);
    /* What a mark is stands in style sheets, so that the text of the box is the source and nothing else. */
    const ending = piece.marks.filter((mark) => mark.end === piece.end);
    if (ending.length) made.dataset.tag = ending.map((mark) => mark.label).join(" ");
    if (chosen.color) made.style.setProperty("--q-color", chosen.color);
    return made;
  }

  /* The marks of a field as they are drawn: A under, B over, both both; how it was decided by its frame and its tag. */
  function marksOf(field, elements, current) {
    const colors = new Map(field.labels.map((label) => [label.value, label.color]));
    return elements.map((span) => ({
      id: span.key,
      start: span.start,
      end: span.end,
      color: colors.get(span.label) || "",
      label: `${span.state === "kept" ? "✓" : span.state === "dropped" ? "✗" : "?"} ${title(field, span.label)}`
        + (span.isCommon ? "" : ` ${span.sayers.join(" ")}`),
      classes: [
        "qr-mark",
        ...(span.isCommon ? ["qr-common"] : span.sayers.map((name) => `qr-by-${name.toLowerCase()}`)),
        `qr-${span.state}`,
        ...(span.key === current ? ["qr-current"] : []),
      ],
    }));
  }

  function title(field, value) {
    return field.labels.find((label) => label.value === value)?.title ?? String(value);
  }

  /* --- what is to be stepped through ------------------------------------------------------------------------------------- */

  function listed(state, field) {
    const all = review.elements(field, state.form[field.name], state.panel.decisions, state.left(field));
    return state.isUnfolded || !state.panel.conflicts.includes(field.name)
      ? all : all.filter((span) => !span.isCommon || span.state !== "kept");
  }

  function current(state, field) {
    const spans = listed(state, field);
    return spans.find((span) => span.key === state.spanKey)
      || spans.find((span) => span.state === "open") || spans[0] || null;
  }

  /* Who a mark is from, in words: A, B, A and B, or nobody. */
  function sayer(span) {
    return span.isCommon ? "all" : span.sayers.join(" and ") || "you";
  }

  function describe(state, field, span) {
    const words = review.codePoints(state.source(field)).slice(span.start, span.end).join("");
    return `${title(field, span.label)} “${words.length > 60 ? `${words.slice(0, 57)}…` : words}”, from ${sayer(span)}, `
      + STATES[span.state];
  }

  /* --- acting ---------------------------------------------------------------------------------------------------------------- */

  function plain({ start, end, label }) {
    return { start, end, label };
  }

  function write(state, field, spans) {
    state.write(field, spans.map(plain));
  }

  function without(state, field, span) {
    return (state.form[field.name] || []).filter((other) => review.elementKey("spans", other) !== span.key);
  }

  /* Keep a mark. Other people's marks on the same words, which nobody has decided, are left out with it. */
  function keep(state, field) {
    const span = current(state, field);
    if (!span) return;
    const left = state.left(field);
    left.delete(span.key);
    const rivals = listed(state, field).filter((other) => other.state === "open" && other.key !== span.key
      && review.overlaps(span, other));
    for (const rival of rivals) left.add(rival.key);
    write(state, field, [...without(state, field, span), span]);
    state.say(`Kept: ${title(field, span.label)}.${rivals.length ? " The other mark on these words is left out." : ""}`);
    advance(state, field, span);
  }

  function drop(state, field) {
    const span = current(state, field);
    if (!span) return;
    state.left(field).add(span.key);
    if (span.state === "kept") write(state, field, without(state, field, span));
    state.say(`Left out: ${title(field, span.label)}.`);
    advance(state, field, span);
  }

  function advance(state, field, span) {
    const spans = listed(state, field);
    const at = spans.findIndex((other) => other.key === span.key);
    const open = [...spans.slice(at + 1), ...spans.slice(0, Math.max(at, 0))].find((other) => other.state === "open");
    state.spanKey = open ? open.key : span.key;
    if (open) state.focusOn(field.name);
    else state.next();
  }

  function step(state, field, by) {
    const spans = listed(state, field);
    if (!spans.length) return;
    const at = spans.findIndex((span) => span.key === current(state, field).key);
    state.spanKey = spans[(at + by + spans.length) % spans.length].key;
    state.say(describe(state, field, current(state, field)));
    state.focusOn(field.name);
  }

  /* Another place or another label: the mark in hand is left out, and the new one kept in its place. */
  function replace(state, field, change, words) {
    const span = current(state, field);
    if (!span) return;
    const made = { ...plain(span), ...change };
    const key = review.elementKey("spans", made);
    if (key === span.key) return;
    if (span.sayers.length) state.left(field).add(span.key);
    state.left(field).delete(key);
    write(state, field, [...without(state, field, span).filter((other) => review.elementKey("spans", other) !== key), made]);
    state.spanKey = key;
    state.say(words);
    state.draw();
  }

  function resize(state, field, edge, step_) {
    const span = current(state, field);
    if (!span) return;
    const points = review.codePoints(state.source(field));
    const made = review.moved(points, plain(span), edge, step_);
    const words = points.slice(made.start, made.end).join("");
    replace(state, field, made, `Now “${words}”.`);
  }

  /* A label's key: of the words that are selected, else of the mark in hand. */
  function label(state, field, value) {
    const box = state.textBox(field);
    const selected = box && review.drawText.selection(box);
    if (!selected) {
      replace(state, field, { label: value }, `Now ${title(field, value)}.`);
      return;
    }
    getSelection().removeAllRanges();
    const made = { ...selected, label: value };
    const key = review.elementKey("spans", made);
    state.left(field).delete(key);
    write(state, field, [...(state.form[field.name] || []).filter((span) => review.elementKey("spans", span) !== key), made]);
    state.spanKey = key;
    state.say(`Marked: ${title(field, value)}.`);
    state.draw();
  }

  /* All of one decision, or of all of them: what the others have besides is left out. */
  function take(state, field, spans, name) {
    const wanted = new Set(spans.map((span) => review.elementKey("spans", span)));
    const left = state.left(field);
    for (const span of review.elements(field, state.form[field.name], state.panel.decisions)) {
      if (wanted.has(span.key)) left.delete(span.key);
      else left.add(span.key);
    }
    write(state, field, spans);
    state.say(`${field.title}: ${name}.`);
    state.next();
  }

  review.drawText = drawText;
  review.spans = { marksOf, listed, current, describe, title, sayer, keep, drop, step, resize, label, take };
})();
