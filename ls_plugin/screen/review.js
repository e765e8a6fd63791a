/* QA and Expert: what differs is the screen. The tags of the interface stay beneath as Label Studio's truth, hidden while
   this screen stands; a row whose panel carries no decisions is left to them. */
(() => {
  "use strict";

  const review = window.quorumReview;
  const quorum = window.quorum;
  const SEND = '[data-testid="bottombar-submit-button"], [data-testid="bottombar-update-button"]';
  /* Also the button below Submit that leaves the queue afterwards. */
  const SENDING = `${SEND}, [data-testid="bottombar-submit-and-exit-button"], [data-testid="bottombar-update-and-exit-button"]`;
  const LEFT_OUT = "Send once more to leave out what not everybody has.";
  /* What is no part of the answer, and stays where Label Studio draws the same row anew, as after a refused save. */
  const STAYS = ["focus", "spanKey", "isUnfolded", "isFull", "isGuided", "isNoted", "isForm", "touched", "leftOut"];
  let state = null;
  let past = null;

  /* --- the state of one row ------------------------------------------------------------------------------------------------- */

  function begin(screen) {
    const panel = screen.stage === "pass" ? null : review.parsePanel(screen.data.panel);
    if (!panel || !screen.field("decision")) return null;
    const fields = review.fields(screen);
    const flags = review.fieldOf(screen, "flags");
    const begun = {
      screen, panel, fields, flags,
      texts: review.texts(screen),
      isText: review.isText(screen),
      form: {},
      focus: null,
      spanKey: null,
      isUnfolded: false, isFull: false, isGuided: false, isNoted: false, isForm: false,
      isWarned: false,
      said: "",
      touched: new Set(),
      leftOut: new Map(),
      drawn: "",
    };
    if (past?.screen.task === screen.task) for (const name of STAYS) begun[name] = past[name];
    return Object.assign(begun, acts(begun));
  }

  function acts(mine) {
    const fieldNamed = (name) => [...mine.fields, mine.flags].find((field) => field && field.name === name) || null;
    return {
      fieldNamed,
      field: () => fieldNamed(mine.focus),
      left: (field) => {
        if (!mine.leftOut.has(field.name)) mine.leftOut.set(field.name, new Set());
        return mine.leftOut.get(field.name);
      },
      source: (field) => mine.texts.find((text) => text.name === field.to)?.source || "",
      textBox: (field) => mine.root.querySelector(`[data-text="${CSS.escape(field.to)}"] .qr-text`),
      differing: () => [...mine.panel.conflicts, ...mine.panel.changed].map(fieldNamed).filter(Boolean),
      shown: () => {
        const first = mine.differing();
        const rest = mine.isUnfolded ? [...mine.fields, mine.flags].filter((field) => field && !first.includes(field)) : [];
        return [...first, ...rest];
      },
      isOpen: (field) => review.isOpen(field, mine.form, mine.panel, mine.left(field), mine.touched),
      open: () => mine.differing().filter((field) => mine.isOpen(field)),
      read: () => {
        mine.form = review.readAll(mine.screen, [...mine.fields, ...(mine.flags ? [mine.flags] : [])]);
      },
      say: (words) => { mine.said = words; },
      draw: () => review.view.draw(mine),
      write: (field, value) => {
        mine.touched.add(field.name);
        mine.isWarned = false;
        review.write(mine.screen, field, value);
        mine.read();
      },
      choose: (field, value) => {
        mine.write(field, value);
        mine.say(`${field.title}: ${review.form.asText(field, value)}.`);
        mine.next();
      },
      toggle: (field, value) => {
        const set = mine.form[field.name] || [];
        mine.write(field, set.includes(value) ? set.filter((other) => other !== value) : [...set, value]);
        mine.say(`${field.title}: ${review.form.asText(field, mine.form[field.name])}.`);
        mine.draw();
      },
      typed: (field, text) => {
        mine.write(field, field.kind === "number" ? (text === "" ? null : Number(text)) : text);
        mine.say(`${field.title}: changed.`);
        mine.draw();
      },
      take: (field, place) => {
        const decision = mine.panel.decisions[place];
        if (!decision) return;
        const value = decision.values[field.name] ?? (review.isSet(field.kind) ? [] : null);
        const name = `what ${review.letter(decision, place)} says`;
        if (field.kind === "spans") review.spans.take(mine, field, value, name);
        else if (value !== null) mine.choose(field, value);
      },
      takeAll: (field) => {
        const value = review.union(field, mine.panel.decisions);
        if (field.kind === "spans") review.spans.take(mine, field, value, "what either says");
        else mine.choose(field, value);
      },
      /* To the next field that waits; to the button that sends where none does. */
      next: () => {
        const shown = mine.shown();
        const at = shown.findIndex((field) => field.name === mine.focus);
        const waiting = [...shown.slice(at + 1), ...shown.slice(0, Math.max(at, 0))].find((field) => mine.isOpen(field));
        if (waiting) mine.focusOn(waiting.name);
        else {
          mine.draw();
          if (!mine.open().length) mine.root.querySelector(".qr-send").focus();
        }
      },
      focusOn: (name, takesFocus = true) => {
        if (mine.focus !== name) mine.spanKey = null;
        mine.focus = name;
        mine.draw();
        if (takesFocus) review.view.focusRow(mine);
      },
      flip: (name) => {
        mine[name] = !mine[name];
        mine.draw();
      },
      unfold: () => {
        mine.isUnfolded = !mine.isUnfolded;
        mine.say(mine.isUnfolded ? "All fields." : "What differs.");
        mine.draw();
        if (mine.isUnfolded && !mine.focus) mine.move(1);
      },
      /* Escalate or discard: asks why; the same key once more takes it back. */
      stop: (word) => {
        review.decide(mine.screen, review.decision(mine.screen) === word ? null : word);
        const decided = review.decision(mine.screen);
        review.giveBack(mine.screen, decided === "return" ? review.returnable(mine.screen) : []);
        mine.say(decided ? `${word}: say why${decided === "return" ? ", and to whom" : ""}.` : "");
        mine.draw();
        mine.root.querySelector(".qr-why input")?.focus();
      },
      /* Whose answer goes back; one more press of the same takes it out. */
      returnTo: (letter) => {
        const before = review.returned(mine.screen);
        review.giveBack(mine.screen, review.returnable(mine.screen).filter((other) =>
          before.includes(other) !== (other === letter)));
        mine.say(`return to ${review.returned(mine.screen).join(", ") || "nobody yet"}.`);
        mine.draw();
      },
      note: () => {
        mine.flip("isNoted");
        if (mine.isNoted) mine.root.querySelector(".qr-why input")?.focus();
      },
      send,
      chooseSpan: (field, key) => {
        mine.focus = field.name;
        mine.spanKey = key;
        mine.draw();
        review.view.focusRow(mine);
      },
      move: (by) => {
        const shown = mine.shown();
        const at = shown.findIndex((field) => field.name === mine.focus);
        if (shown.length) mine.focusOn(shown[(at + by + shown.length) % shown.length].name);
      },
    };
  }

  /* --- keys and the decision --------------------------------------------------------------------------------------------------- */

  /* The field and label of a label's key while words are selected in the text of the field, whatever row is in hand. */
  function markable(mine, key) {
    for (const field of mine.fields.filter((other) => other.kind === "spans")) {
      const label = field.labels.find((other) => other.key === key);
      const box = label && mine.textBox(field);
      if (box && review.drawText.selection(box)) return { field, label };
    }
    return null;
  }

  /* A letter or digit on the row in hand. */
  function press(mine, key) {
    if (review.decision(mine.screen) === "return") {
      const letter = review.returnable(mine.screen).find((other) => other.toLowerCase() === key);
      if (letter) mine.returnTo(letter);
      return;
    }
    const marked = markable(mine, key);
    if (marked) {
      mine.focus = marked.field.name;
      review.spans.label(mine, marked.field, marked.label.value);
      return;
    }
    const field = mine.field();
    if (!field) return;
    const place = review.LETTERS.indexOf(key);
    if (place >= 0 && place < mine.panel.decisions.length) mine.take(field, place);
    else if (field.kind === "spans") pressSpan(mine, field, key);
    else if (key === "u" && review.isSet(field.kind)) mine.takeAll(field);
    else if (key === "n" || key === "p") mine.move(key === "n" ? 1 : -1);
    else if (/^\d$/.test(key)) pressDigit(mine, field, key);
  }

  function pressDigit(mine, field, key) {
    const { decisions } = mine.panel;
    if (field.kind === "text" || field.kind === "number" || field.kind === "boxes" || field.kind === "segments") {
      if (Number(key) <= decisions.length) mine.take(field, Number(key) - 1);
      else if (Number(key) === decisions.length + 1) mine.root.querySelector(`[data-box="${CSS.escape(field.name)}"]`)?.focus();
      return;
    }
    const all = field.kind === "choice" ? review.options(field, decisions) : review.items(field, decisions);
    const item = all.find((other) => other.key === key);
    if (!item) return;
    if (field.kind === "choices") mine.toggle(field, item.value);
    else mine.choose(field, item.value);
  }

  function pressSpan(mine, field, key) {
    const { spans } = review;
    if (key === "u") mine.takeAll(field);
    else if (key === "n" || key === "p") spans.step(mine, field, key === "n" ? 1 : -1);
    else if (key === "k") spans.keep(mine, field);
    else if (key === "d") spans.drop(mine, field);
    else if (key === "w" || key === "shift+w") spans.resize(mine, field, "end", key === "w" ? 1 : -1);
    else if (key === "q" || key === "shift+q") spans.resize(mine, field, "start", key === "q" ? -1 : 1);
    else {
      const label = field.labels.find((other) => other.key === key);
      if (label) spans.label(mine, field, label.value);
    }
  }

  /* Left and right within a row: from one choice to the next, without choosing it. */
  function sideways(mine, by) {
    const row = document.activeElement?.closest?.(".qr-row");
    if (!row) return;
    const all = [...row.querySelectorAll("button")];
    all[(all.indexOf(document.activeElement) + by + all.length) % all.length]?.focus({ preventScroll: true });
  }

  function escape(mine) {
    const box = document.activeElement;
    if (box?.matches?.(".qr-box, .qr-why input")) {
      box.blur();
      if (mine.field()) review.view.focusRow(mine);
    }
    Object.assign(mine, { isGuided: false, isFull: false });
    mine.draw();
  }

  /* Sends by Label Studio's own button, so that all that it looks at on the way is looked at. */
  function send() {
    document.querySelector(SEND)?.click();
  }

  /* What must be there before it is sent, told where people look; the word is then set from what was done. */
  function prepare(mine) {
    document.activeElement?.closest?.("#quorum-review")?.querySelectorAll("input, textarea").forEach((box) => {
      if (box === document.activeElement) box.dispatchEvent(new Event("change"));
    });
    mine.read();
    const decided = review.decision(mine.screen);
    if (review.asksWhy(decided)) return hasReason(mine, decided);
    const open = mine.open();
    const first = open.find((field) => !review.isSet(field.kind)) || open[0];
    /* A set has a value without a decision, what both have: whoever means that sends once more. */
    if (first && !(review.isSet(first.kind) && mine.isWarned)) {
      mine.isWarned = review.isSet(first.kind);
      mine.say(`Not decided: ${open.map((field) => field.title).join(", ")}.${mine.isWarned ? ` ${LEFT_OUT}` : ""}`);
      mine.focusOn(first.name);
      return false;
    }
    review.decide(mine.screen, review.wordFor(mine.fields, mine.form, mine.panel.proposal));
    return true;
  }

  function hasReason(mine, word) {
    if (word === "return" && !review.returned(mine.screen).length) {
      mine.say("Choose whose answer goes back.");
      mine.draw();
      mine.root.querySelector(".qr-to")?.focus();
      return false;
    }
    if (review.words(mine.screen, "decision_reason").trim()) return true;
    mine.say(`Say why you ${word} it.`);
    mine.draw();
    mine.root.querySelector(".qr-why input")?.focus();
    return false;
  }

  const stands = () => !!state && !state.isForm;
  const bind = (keys, does, run, more = {}) => quorum.key({ keys, does, group: "What differs", when: stands, run: () => run(state), ...more });

  bind("ctrl+enter", "Send: accept or correct by itself", send, { typing: true });
  bind("meta+enter", "", send, { typing: true });
  bind("escape", "Leave a box, close the guideline", escape, { typing: true });
  bind("shift+x", "Escalate, with a reason", (mine) => mine.stop("escalate"));
  const mayReturn = () => stands() && review.returnable(state.screen).length > 0;
  bind("shift+r", "Return to whom you choose, with a reason", (mine) => mine.stop("return"), { when: mayReturn });
  bind("shift+d", "Discard, with a reason", (mine) => mine.stop("discard"));
  bind("shift+n", "A note to both", (mine) => mine.note());
  bind("e", "What agrees: open, and change it", (mine) => mine.unfold());
  bind("g", "The guideline of the field", (mine) => mine.flip("isGuided"));
  bind("f", "The texts at full height", (mine) => mine.flip("isFull"));
  quorum.key({ keys: "t", does: "Label Studio's own form, and back", group: "What differs", when: () => !!state, run: () => state.flip("isForm") });
  /* In a text the arrow keys scroll it. */
  const isOutsideTexts = () => stands() && !document.activeElement?.closest?.(".qr-text, .qr-guide");
  bind("arrowdown", "Next field", (mine) => mine.move(1), { when: isOutsideTexts });
  bind("arrowup", "Field before", (mine) => mine.move(-1), { when: isOutsideTexts });
  bind("arrowright", "Next choice of the field", (mine) => sideways(mine, 1), { when: isOutsideTexts });
  bind("arrowleft", "Choice before", (mine) => sideways(mine, -1), { when: isOutsideTexts });
  const hasSpans = () => state.shown().some((field) => field.kind === "spans");
  const hasSets = () => state.shown().some((field) => review.isSet(field.kind));
  const DOES = {
    a: ["Take what A says"], b: ["Take what B says"], u: ["Take what either says, of a set", hasSets],
    1: ["Digits: the choice with this digit"], n: ["Next mark, or field"], p: ["Mark before, or field"],
    k: ["Keep the mark", hasSpans], d: ["Leave the mark out", hasSpans],
    w: ["Widen the mark at its end", hasSpans], "shift+w": ["Narrow the mark at its end", hasSpans],
    q: ["Widen it at its start", hasSpans], "shift+q": ["Narrow it at its start", hasSpans],
  };
  /* Keys without a meaning here do nothing, so that none of Label Studio's changes a field that is folded away. */
  const LETTERS = [..."abcdefghijklmnopqrstuvwxyz"];
  for (const keys of [...LETTERS, ..."0123456789,.;", ...LETTERS.map((letter) => `shift+${letter}`)]) {
    const [words, isUseful] = DOES[keys] || [""];
    quorum.key({
      keys,
      get does() { return !isUseful || (stands() && isUseful()) ? words : ""; },
      group: "What differs",
      /* Beside a picture the flags are seen, and have their keys. */
      when: () => stands() && (state.isText || keys.length === 1),
      run: () => press(state, keys),
    });
  }

  document.addEventListener("click", (click) => {
    if (!state || state.isForm || !click.target.closest?.(SENDING) || prepare(state)) return;
    click.preventDefault();
    click.stopImmediatePropagation();
  }, true);

  /* --- the part ------------------------------------------------------------------------------------------------------------------ */

  quorum.part("review", {
    open(screen) {
      state = begin(screen);
      if (!state) return;
      review.view.build(state);
      state.read();
      state.focus ??= (state.open()[0] || state.differing()[0])?.name ?? null;
      state.draw();
      if (state.focus && !state.isForm) review.view.focusRow(state);
    },
    drawn(screen) {
      if (!state || screen !== state.screen) return;
      if (!state.root.isConnected) screen.root.append(state.root);
      state.read();
      if (state.drawn !== review.view.signature(state)) state.draw();
    },
    close() {
      if (!state) return;
      review.view.remove(state);
      past = state;
      state = null;
    },
  });
})();
