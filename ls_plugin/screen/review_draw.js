/* The screen of a review: its frame, texts, the line of what agrees, and the bar that sends. */
(() => {
  "use strict";

  const review = window.quorumReview;
  const { element, shared } = window.quorum;
  const { cap } = review.form;
  /* Texts up to so many characters stand on a line of their own above the others. */
  const SHORT = 160;

  /* --- drawing ----------------------------------------------------------------------------------------------------------------- */

  function build(mine) {
    const part = (name, attributes = {}) => element("div", { class: name, ...attributes });
    mine.root = element("section", { id: "quorum-review", "aria-label": "What differs" },
      element("p", { class: "qr-said", role: "status", "aria-live": "polite" }),
      part("qr-head"),
      element("div", { class: "qr-texts" }, part("qr-shorts"), part("qr-columns")),
      part("qr-guide", { role: "region", "aria-label": "Guideline", hidden: true }),
      part("qr-scroll", { tabindex: "-1" }), part("qr-agreed"), part("qr-bar"));
    mine.root.addEventListener("scroll", () => mark(mine), true);
    mine.root.addEventListener("focusin", (event) => {
      if (!isPointing) takeInHand(mine, event.target, !event.target.matches(".qr-box"));
    });
    /* Between a press of the mouse and its release the rows stay as they are, or the click would hit nothing. */
    let isPointing = false;
    mine.root.addEventListener("pointerdown", () => { isPointing = true; });
    mine.root.addEventListener("click", (event) => {
      isPointing = false;
      if (event.target.isConnected) takeInHand(mine, event.target, false);
    });
    mine.screen.root.append(mine.root);
    mine.sized = new ResizeObserver(() => fit(mine));
    mine.sized.observe(scroller(mine));
  }

  /* The row that an element is of comes into hand. */
  function takeInHand(mine, target, takesFocus = true) {
    const row = target.closest(".qr-row");
    if (row && row.dataset.field !== mine.focus) mine.focusOn(row.dataset.field, takesFocus);
  }

  function scroller(mine) {
    return mine.screen.root.closest(".lsf-main-content") || mine.screen.root.parentElement;
  }

  /* As high as Label Studio leaves between its own bars, whatever the window and its zoom. */
  function fit(mine) {
    const box = scroller(mine);
    const room = box.clientHeight - parseFloat(getComputedStyle(box).paddingBottom || 0);
    mine.root.style.height = mine.isText ? `${Math.max(room, 240)}px` : "";
    mark(mine);
  }

  /* What is more than a box shows is told at its lower edge. */
  function mark(mine) {
    for (const box of mine.root.querySelectorAll(".qr-scroll, .qr-text, .qr-guide")) {
      box.classList.toggle("qr-more-below", box.scrollHeight - box.scrollTop - box.clientHeight > 4);
    }
  }

  function draw(mine) {
    mine.read();
    const typing = document.activeElement?.closest?.("#quorum-review .qr-box, #quorum-review .qr-why input");
    mine.screen.root.classList.toggle("quorum-reviewed", !mine.isForm && mine.isText);
    mine.screen.root.classList.toggle("quorum-form", mine.isForm);
    mine.screen.root.classList.toggle("quorum-beside", !mine.isForm && !mine.isText);
    mine.root.classList.toggle("qr-full", mine.isFull);
    mine.root.classList.toggle("qr-folded", mine.isForm);
    const kept = focusKey(mine);
    drawHead(mine);
    drawTexts(mine);
    drawGuide(mine);
    /* A box in which somebody writes is not made anew under their hands. */
    if (!typing) {
      const at = mine.root.querySelector(".qr-scroll");
      const top = at.scrollTop;
      at.replaceChildren(...review.form.rows(mine));
      at.scrollTop = top;
      drawBar(mine);
    }
    drawAgreed(mine);
    mine.root.querySelector(".qr-said").textContent = mine.said;
    restore(mine, kept);
    fit(mine);
    mine.drawn = signature(mine);
  }

  /* What would make another picture: what the store holds, and how texts are shown. Compared, so that our own drawing does not draw again. */
  function signature(mine) {
    const decided = [review.decision(mine.screen), review.returned(mine.screen)];
    return JSON.stringify([mine.form, decided, review.drawText.isWritten()]);
  }

  function drawHead(mine) {
    const { panel } = mine;
    const waiting = mine.open().length;
    const words = panel.conflicts.length
      ? `${panel.conflicts.length} of ${mine.fields.length} differ${waiting ? ` · ${waiting} to decide` : " · all decided"}`
      : "No conflict";
    const said = [...panel.decisions, ...panel.opinions].filter((who) => who.flags.length || who.reason).map((who) =>
      element("span", { class: "qr-note", dir: "auto" }, element("b", {}, who.title.replace("Decision ", "")),
        ` ${[...who.flags.map((flag) => mine.flags ? review.spans.title(mine.flags, flag) : flag),
          who.reason && `“${who.reason}”`].filter(Boolean).join(" · ")}`));
    mine.root.querySelector(".qr-head").replaceChildren(
      element("b", { dir: "auto" }, String(mine.screen.row ?? "")), element("span", {}, words), ...said,
      panel.asks ? element("span", { class: "qr-quiet" }, panel.asks) : "");
  }

  function drawTexts(mine) {
    const field = mine.field()?.kind === "spans" ? mine.field() : mine.fields.find((other) => other.kind === "spans"
      && mine.panel.conflicts.includes(other.name)) || mine.fields.find((other) => other.kind === "spans");
    const box = mine.root.querySelector(".qr-texts");
    const current = field && mine.focus === field.name ? review.spans.current(mine, field)?.key : null;
    const spans = field ? review.elements(field, mine.form[field.name], mine.panel.decisions, mine.left(field)) : [];
    const marks = field ? review.spans.marksOf(field, spans, current) : [];
    const key = JSON.stringify([field?.name, marks, review.drawText.isWritten()]);
    if (box.dataset.key !== key) {
      box.dataset.key = key;
      for (const text of mine.texts.filter((other) => other.source.trim())) {
        drawText(mine, box, text, text.name === field?.to ? marks : []);
      }
    }
    const drawn = current && [...box.querySelectorAll(".qr-mark")].find((made) => made.dataset.span === current);
    if (drawn) bringInto(drawn.closest(".qr-text"), drawn);
  }

  function drawText(mine, box, text, marks) {
    const isShort = text.source.length <= SHORT && !text.source.includes("\n") && !marks.length;
    const name = text.name[0].toUpperCase() + text.name.slice(1).replace(/_/g, " ");
    let drawn = box.querySelector(`[data-text="${CSS.escape(text.name)}"]`);
    const top = drawn?.querySelector(".qr-text").scrollTop || 0;
    if (!drawn) {
      drawn = element("div", { class: `qr-textbox${isShort ? " qr-short" : ""}`, "data-text": text.name },
        element("h4", {}, name), element("div", { class: "qr-text", tabindex: "0", role: "region", "aria-label": name }));
      box.querySelector(isShort ? ".qr-shorts" : ".qr-columns").append(drawn);
    }
    const inside = drawn.querySelector(".qr-text");
    const key = JSON.stringify([marks, review.drawText.isWritten()]);
    if (drawn.dataset.key !== key) {
      drawn.dataset.key = key;
      review.drawText.draw(inside, text.source, marks);
      inside.scrollTop = top;
    }
  }

  /* Scroll a box, and nothing around it, until an element in it is seen. */
  function bringInto(box, inner) {
    const outer = box.getBoundingClientRect();
    const at = inner.getBoundingClientRect();
    if (at.top < outer.top + 8) box.scrollTop -= outer.top + 24 - at.top;
    else if (at.bottom > outer.bottom - 20) box.scrollTop += at.bottom - outer.bottom + 40;
  }

  function drawGuide(mine) {
    const box = mine.root.querySelector(".qr-guide");
    const field = mine.field();
    box.hidden = !mine.isGuided || !field;
    if (box.hidden || box.dataset.field === field.name) return;
    box.dataset.field = field.name;
    const found = shared.guide.guideline(mine.screen, field);
    const none = element("p", {}, `The guidelines have no part that is named ${field.title}.`);
    box.replaceChildren(...(found.length ? found : [none]));
    box.scrollTop = 0;
  }

  function drawAgreed(mine) {
    const rest = mine.fields.filter((field) => !mine.differing().includes(field));
    const words = rest.map((field) => `${field.title}: ${review.form.asText(field, mine.form[field.name])}`);
    const flags = mine.flags && mine.form.flags.length ? [`Flags: ${review.form.asText(mine.flags, mine.form.flags)}`] : [];
    const line = element("button", { type: "button", class: "qr-fold", "aria-expanded": String(mine.isUnfolded),
      onclick: () => mine.unfold() },
    cap("e"), mine.isUnfolded ? "▾ " : "▸ ", element("b", {}, `${rest.length} agreed`), " ",
    element("span", { dir: "auto" }, [...words, ...flags].join(" · ")));
    mine.root.querySelector(".qr-agreed").replaceChildren(line);
  }

  function drawBar(mine) {
    const decided = review.decision(mine.screen);
    const asks = review.asksWhy(decided);
    const changed = review.changedFields(mine.fields, mine.form, mine.panel.proposal).length;
    const waiting = mine.open().length;
    const word = asks ? decided : waiting ? `${waiting} to decide` : changed ? `correct (${changed} changed)` : "accept";
    const tool = (key, words, act, isOn = null) => element("button", { type: "button", class: "qr-tool", onclick: act,
      "aria-pressed": isOn === null ? null : String(isOn) }, cap(key), words);
    const why = asks ? wordsBox("decision_reason", `Why ${decided}?`, mine) : null;
    const to = decided === "return" ? toWhom(mine) : null;
    const offersReturn = review.returnable(mine.screen).length > 0;
    const note = !asks && (mine.isNoted || review.words(mine.screen, "decision_note"))
      ? wordsBox("decision_note", "Note to both", mine) : null;
    mine.root.querySelector(".qr-bar").replaceChildren(
      ...[to, why, note].filter(Boolean),
      element("div", { class: "qr-tools-line" },
        element("button", { type: "button", class: "qr-send", onclick: () => mine.send() }, cap("Ctrl ⏎"), `Send: ${word}`),
        tool("⇧X", "escalate", () => mine.stop("escalate"), decided === "escalate"),
        offersReturn ? tool("⇧R", "return", () => mine.stop("return"), decided === "return") : null,
        tool("⇧D", "discard", () => mine.stop("discard"), decided === "discard"),
        tool("⇧N", "note", () => mine.note(), mine.isNoted),
        tool("g", "guideline", () => mine.flip("isGuided"), mine.isGuided),
        tool("f", "full text", () => mine.flip("isFull"), mine.isFull),
        tool("t", mine.isForm ? "back to what differs" : "form", () => mine.flip("isForm"), mine.isForm)));
  }

  /* Whose answer a return gives back: all of them until somebody is taken out. */
  function toWhom(mine) {
    const named = review.returned(mine.screen);
    return element("div", { class: "qr-why qr-whom", role: "group", "aria-label": "Return to" }, element("span", {}, "Return to"),
      ...review.returnable(mine.screen).map((letter) => element("button", { type: "button", class: "qr-tool qr-to",
        "aria-pressed": String(named.includes(letter)), onclick: () => mine.returnTo(letter) }, cap(letter.toLowerCase()), letter)));
  }

  function wordsBox(name, label, mine) {
    const box = element("input", {
      type: "text", name: `quorum-${name}`, dir: "auto", "aria-required": String(name === "decision_reason"),
      onchange: (event) => review.say(mine.screen, name, event.target.value),
    });
    box.value = review.words(mine.screen, name);
    return element("label", { class: "qr-why" }, element("span", {}, label), box);
  }

  /* --- focus ------------------------------------------------------------------------------------------------------------------- */

  function focusKey(mine) {
    const focused = document.activeElement;
    if (!focused || !mine.root.contains(focused)) return null;
    const row = focused.closest(".qr-row");
    if (row) return { field: row.dataset.field, option: focused.dataset.option || null };
    const holder = [".qr-send", ".qr-fold", ".qr-tool"].find((selector) => focused.matches(selector));
    return holder ? { holder, words: focused.textContent } : null;
  }

  function restore(mine, key) {
    if (!key || mine.root.contains(document.activeElement)) return;
    if (key.field) focusRow(mine, mine.field()?.kind === "spans" ? null : key.option);
    else {
      const alike = [...mine.root.querySelectorAll(key.holder)];
      (alike.find((made) => made.textContent === key.words) || alike[0])?.focus({ preventScroll: true });
    }
  }

  function focusRow(mine, option = null) {
    const row = mine.root.querySelector(`.qr-row[data-field="${CSS.escape(mine.focus || "")}"]`);
    if (!row) return;
    const wanted = option && mine.focus && [...row.querySelectorAll("[data-option]")].find((made) =>
      made.dataset.option === option);
    (wanted || review.form.anchor(row))?.focus({ preventScroll: true });
    bringInto(mine.root.querySelector(".qr-scroll"), row);
  }

  /* Take the screen off: what stands beneath it is seen again. */
  function remove(mine) {
    mine.sized.disconnect();
    mine.root.remove();
    mine.screen.root.classList.remove("quorum-reviewed", "quorum-beside", "quorum-form");
  }

  review.view = { build, draw, focusRow, signature, remove };
})();
