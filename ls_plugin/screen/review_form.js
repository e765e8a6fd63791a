/* The rows of a review: a field in conflict each, with what each decision says and everything else that it may be. */
(() => {
  "use strict";

  const review = window.quorumReview;
  const { element } = window.quorum;

  function cap(key) {
    return key ? element("kbd", { "aria-hidden": "true" }, key) : null;
  }

  /* Whose a value is, as letters in boxes of their own form: A is square, B is round. */
  function badges(sayers) {
    return sayers.map((name) => element("b", { class: `qr-who qr-who-${name.toLowerCase()}` }, name));
  }

  function spoken(sayers) {
    return sayers.length ? `, says ${sayers.join(" and ")}` : "";
  }

  /* One thing that can be chosen. Where it is one of many it is a radio, else a box to tick. */
  function option(state, field, item, isOn, role, act) {
    return element(
      "button",
      {
        type: "button",
        role,
        "aria-checked": String(isOn),
        "aria-label": `${item.title}${spoken(item.sayers)}`,
        title: item.hint || null,
        class: `qr-option${item.sayers.length ? " qr-said-by" : ""}`,
        "data-option": JSON.stringify(item.value),
        tabindex: "-1",
        onclick: () => {
          state.focusOn(field.name);
          act(item.value);
        },
      },
      cap(item.key),
      ...badges(item.sayers),
      element("span", { dir: "auto" }, item.short ?? item.title),
      isOn ? element("span", { class: "qr-tick", "aria-hidden": "true" }, "✓") : null,
    );
  }

  function group(role, field, children) {
    return element("div", { role, "aria-label": field.title, class: "qr-options" }, ...children);
  }

  /* --- the kinds ------------------------------------------------------------------------------------------------------------- */

  function choiceRow(state, field) {
    const value = state.form[field.name];
    const all = review.options(field, state.panel.decisions);
    /* Where the row is not in hand, what nobody says is one button, so that more conflicts are seen at once. */
    const shown = state.focus === field.name ? all : all.filter((item) => item.sayers.length || item.value === value);
    const made = shown.map((item) => option(state, field, item, item.value === value, "radio",
      (chosen) => state.choose(field, chosen)));
    return [group("radiogroup", field, made), more(state, field, all.length - shown.length)];
  }

  /* What is left out of a row that is not in hand; none where nothing is. */
  function more(state, field, count) {
    return count ? element("button", { type: "button", class: "qr-more", tabindex: "-1",
      onclick: () => state.focusOn(field.name) }, `${count} other${count === 1 ? "" : "s"} …`) : null;
  }

  function ratingRow(state, field) {
    const value = state.form[field.name];
    const all = review.items(field, state.panel.decisions);
    const shown = state.focus === field.name ? all : all.filter((item) => item.sayers.length || item.value === value);
    const made = shown.map((item) => option(state, field, item, item.value === value, "radio",
      (chosen) => state.choose(field, chosen)));
    return [group("radiogroup", field, made), more(state, field, all.length - shown.length)];
  }

  function choicesRow(state, field) {
    const value = state.form[field.name] || [];
    const all = review.items(field, state.panel.decisions);
    const shown = state.focus === field.name ? all
      : all.filter((item) => item.sayers.length || value.includes(item.value));
    const made = shown.map((item) => option(state, field, item, value.includes(item.value), "checkbox",
      (chosen) => state.toggle(field, chosen)));
    return [takes(state, field), group("group", field, made), more(state, field, all.length - shown.length)];
  }

  /* All of A, all of B, all of both: for sets, and for what has no list of values. */
  function takes(state, field) {
    const isSet = review.isSet(field.kind);
    const buttons = state.panel.decisions.map((decision, place) => takeButton(state, field, decision, place));
    if (isSet && state.panel.decisions.length > 1) {
      buttons.push(element("button", { type: "button", class: "qr-take", tabindex: "-1",
        onclick: () => state.takeAll(field) }, cap("u"), "all of both"));
    }
    return element("div", { class: "qr-takes", role: "group", "aria-label": `${field.title}: take over` }, ...buttons);
  }

  function takeButton(state, field, decision, place) {
    const name = review.letter(decision, place);
    const count = (decision.values[field.name] || []).length;
    const words = review.isSet(field.kind) ? (count ? `all ${count}` : "none") : "this";
    return element("button", {
      type: "button", class: "qr-take", tabindex: "-1", "aria-label": `Take ${name}: ${words}`,
      "aria-pressed": String(review.same(field.kind, state.form[field.name], decision.values[field.name])),
      onclick: () => state.take(field, place),
    }, cap(review.LETTERS[place] || ""), ...badges([name]), words);
  }

  function spanRow(state, field) {
    const spans = review.spans.listed(state, field);
    const hand = state.focus === field.name ? review.spans.current(state, field) : null;
    const chips = spans.map((span) => chip(state, field, span, hand?.key === span.key));
    const list = element("div", { class: "qr-chips", role: "listbox", "aria-label": `${field.title}: marks` }, ...chips);
    return [takes(state, field), spans.length ? list : element("span", { class: "qr-quiet" }, "no marks"),
      hand ? tools(state, field) : null];
  }

  function chip(state, field, span, isCurrent) {
    const words = review.codePoints(state.source(field)).slice(span.start, span.end).join("");
    const sign = { kept: "✓", dropped: "✗", open: "?" }[span.state];
    return element("button", {
      type: "button", role: "option", "aria-selected": String(isCurrent), tabindex: "-1",
      class: `qr-chip qr-${span.state}${isCurrent ? " qr-current" : ""}`, "data-option": span.key,
      "aria-label": review.spans.describe(state, field, span),
      onclick: () => state.chooseSpan(field, span.key),
    }, element("span", { "aria-hidden": "true" }, sign), ...badges(span.isCommon ? [] : span.sayers),
    element("b", {}, review.spans.title(field, span.label)), element("span", { class: "qr-words", dir: "auto" }, words));
  }

  function tools(state, field) {
    const tool = (key, words, act) => element("button", { type: "button", class: "qr-take", tabindex: "-1", onclick: act },
      cap(key), words);
    const spans = review.spans;
    return element("div", { class: "qr-tools", role: "group", "aria-label": "The mark in hand" },
      tool("k", "keep", () => spans.keep(state, field)),
      tool("d", "leave out", () => spans.drop(state, field)),
      tool("n", "next", () => spans.step(state, field, 1)),
      tool("w", "widen", () => spans.resize(state, field, "end", 1)),
      tool("⇧W", "narrow", () => spans.resize(state, field, "end", -1)),
      tool("q", "widen at start", () => spans.resize(state, field, "start", -1)),
      ...field.labels.map((label) => tool(label.key, label.title, () => spans.label(state, field, label.value))));
  }

  /* A text or a number: what each says whole, and a box for what it should be instead. */
  function writtenRow(state, field) {
    const decisions = state.panel.decisions.map((decision, place) => element("button", {
      type: "button", role: "radio", class: "qr-option qr-written qr-said-by", tabindex: "-1",
      "aria-checked": String(review.same(field.kind, state.form[field.name], decision.values[field.name])),
      "aria-label": `${review.letter(decision, place)}: ${decision.values[field.name] ?? "no answer"}`,
      "data-option": String(place),
      onclick: () => state.take(field, place),
    }, cap(String(place + 1)), ...badges([review.letter(decision, place)]),
    element("span", { dir: "auto", class: "qr-whole" }, String(decision.values[field.name] ?? "no answer"))));
    const box = element(field.kind === "number" ? "input" : "textarea", {
      class: "qr-box", "data-box": field.name, "aria-label": `${field.title}: another value`, rows: "2", dir: "auto",
      ...(field.kind === "number" ? { type: "number", min: field.min, max: field.max, step: "any" } : {}),
      onchange: (event) => state.typed(field, event.target.value),
      onfocus: () => state.focusOn(field.name, false),
    });
    box.value = state.form[field.name] ?? "";
    return [group("radiogroup", field, decisions),
      element("label", { class: "qr-boxed" }, cap(String(state.panel.decisions.length + 1)), box)];
  }

  /* Boxes and stretches of time: drawn by Label Studio's own form, taken over here. */
  function regionRow(state, field) {
    const count = (state.form[field.name] || []).length;
    return [takes(state, field), element("span", { class: "qr-quiet" }, `${count} in the form; t shows the form to change them`)];
  }

  const ROWS = {
    choice: choiceRow, rating: ratingRow, choices: choicesRow, spans: spanRow, text: writtenRow, number: writtenRow,
    boxes: regionRow, segments: regionRow,
  };

  /* --- a row ----------------------------------------------------------------------------------------------------------------- */

  function asText(field, value) {
    if (value === null || value === undefined || value === "") return "no answer";
    if (field.kind === "spans") {
      return value.length ? `${value.length} mark${value.length === 1 ? "" : "s"}` : "none";
    }
    if (review.isSet(field.kind)) {
      return value.map((part) => (typeof part === "object" ? part.label : review.spans.title(field, part))).join(", ") || "none";
    }
    return review.spans.title(field, value);
  }

  /* What others than the two think of it: opinions, never what the form opened with. */
  function opinions(state, field) {
    const said = state.panel.opinions
      .filter((opinion) => field.name in opinion.values)
      .map((opinion) => `${opinion.title.split(":")[0]}: ${asText(field, opinion.values[field.name])}`);
    const auto = state.panel.auto?.[field.name];
    if (auto !== undefined && auto !== null) said.push(`auto-label: ${asText(field, auto)}`);
    return said.map((words) => element("span", { class: "qr-opinion", dir: "auto" }, words));
  }

  function row(state, field) {
    const isOpen = state.isOpen(field);
    const inHand = state.focus === field.name;
    const isConflict = state.panel.conflicts.includes(field.name);
    const mark = isOpen ? "?" : isConflict ? "✓" : state.panel.changed.includes(field.name) ? "≠" : "";
    const status = isOpen ? "not decided" : isConflict ? "decided" : "";
    return element("div", {
      class: `qr-row qr-kind-${field.kind}${inHand ? " qr-in-hand" : ""}${isOpen ? " qr-is-open" : ""}`,
      role: "group", "data-field": field.name, "aria-current": inHand ? "true" : null,
      "aria-label": `${field.title}${status ? `, ${status}` : ""}`,
    },
    element("div", { class: "qr-name", onclick: () => state.focusOn(field.name) },
      element("span", { class: `qr-status${isOpen ? " qr-alarm" : ""}`, "aria-hidden": "true" }, mark), field.title),
    element("div", { class: "qr-controls" }, ...ROWS[field.kind](state, field).filter(Boolean),
      ...opinions(state, field)));
  }

  /* The one element of a row that Tab comes to. */
  function anchor(drawn) {
    return drawn.querySelector('[aria-selected="true"]') || drawn.querySelector('.qr-option[aria-checked="true"]')
      || drawn.querySelector(".qr-option, .qr-chip, .qr-take");
  }

  function rows(state) {
    return state.shown().map((field) => {
      const drawn = row(state, field);
      anchor(drawn)?.setAttribute("tabindex", "0");
      return drawn;
    });
  }

  review.form = { rows, anchor, asText, cap };
})();
