/* Filling in: scales as named radios, reason boxes that grow, and what is missing said once, at its field.
   Label Studio's own tags stay beneath, hold the values, and are what is stored. */
(() => {
  "use strict";

  const quorum = window.quorum;
  const { element } = quorum;
  const PAUSE = 400;
  const BOX_KEYS = [".", "/", "p"];
  const SEND = '[data-testid="bottombar-submit-button"], [data-testid="bottombar-update-button"], '
    + '[data-testid$="-and-exit-button"]';
  const SEND_NOW = '[data-testid="bottombar-submit-button"], [data-testid="bottombar-update-button"]';
  const scales = new Map();
  const boxes = new Map();
  /* The scale that the next digit belongs to: in the form, digits are otherwise the keys of labels. */
  let armed = null;
  let asksForMissing = false;

  const controls = (screen) => [...screen.annotation.names.values()].filter((tag) => tag.isControlTag);
  const rowOf = (tag) => tag.elementRef?.current?.closest(".q-row") || null;
  const titleOf = (tag) => rowOf(tag)?.querySelector("h4, h5, h6, [class*=typography]");

  /* The heading of a field as people read it; its name where it has none. */
  function wordsOf(tag) {
    const heading = titleOf(tag);
    const own = [...(heading?.childNodes || [])].filter((node) => node.nodeType === Node.TEXT_NODE);
    return own.map((node) => node.data).join("").trim() || tag.name.replaceAll("_", " ");
  }

  /* --- scales --------------------------------------------------------------------------------------------------------- */

  function drawScale(tag) {
    const under = tag.elementRef?.current;
    const stars = under?.querySelector(".ant-rate");
    if (!stars || tag.perregion) return;
    let scale = scales.get(tag.name);
    if (scale && (scale.tag !== tag || scale.group.parentElement !== under)) {
      closeScale(scale);
      scale = null;
    }
    if (!scale) {
      scale = makeScale(tag, under);
      scales.set(tag.name, scale);
    }
    showScale(scale);
  }

  function makeScale(tag, under) {
    const names = quorum.pointWords(tag, Number(tag.maxrating)).map((words, place) => ({ value: place + 1, words }));
    const scale = { tag, names, watcher: null, group: null };
    const radio = ({ value, words }) => element(
      "button",
      {
        type: "button",
        role: "radio",
        class: "q-point",
        "data-value": value,
        "aria-label": words ? `${value} ${words}` : String(value),
        onclick: () => rate(scale, value),
      },
      element("b", {}, String(value)),
      words && element("span", {}, words),
    );
    scale.group = element(
      "div",
      {
        class: "q-points",
        role: "radiogroup",
        "aria-label": wordsOf(tag),
        "aria-required": String(Boolean(tag.required)),
        onkeydown: (event) => moveWithin(scale, event),
        onfocusout: (event) => {
          if (armed === scale && !scale.group.contains(event.relatedTarget)) arm(null);
        },
        onfocusin: () => arm(scale),
      },
      ...names.map(radio),
    );
    scale.group.style.setProperty("--q-points", names.length);
    under.classList.add("q-under");
    under.append(scale.group);
    /* A rating that Label Studio sets itself (a draft, undo) changes the stars' classes and no element. */
    scale.watcher = new MutationObserver(() => showScale(scale));
    scale.watcher.observe(under.querySelector(".ant-rate"), { attributes: true, subtree: true, childList: true });
    return scale;
  }

  function closeScale(scale) {
    scale.watcher.disconnect();
    scale.group.parentElement?.classList.remove("q-under");
    scale.group.remove();
    scales.delete(scale.tag.name);
    if (armed === scale) armed = null;
  }

  function showScale(scale) {
    const chosen = scale.tag.rating || 0;
    const isFixed = scale.tag.isReadOnly();
    for (const radio of scale.group.children) {
      const value = Number(radio.dataset.value);
      const states = {
        "aria-checked": String(value === chosen),
        "aria-disabled": String(isFixed),
        /* One stop for Tab: the chosen point, or the first where none is. */
        tabindex: value === (chosen || 1) ? "0" : "-1",
      };
      for (const [name, state] of Object.entries(states)) {
        if (radio.getAttribute(name) !== state) radio.setAttribute(name, state);
      }
    }
    markMissing();
  }

  function rate(scale, value) {
    if (scale.tag.isReadOnly()) return;
    if (scale.tag.rating !== value) scale.tag.setRating(value);
    showScale(scale);
    focusPoint(scale);
    arm(null);
  }

  function focusPoint(scale) {
    scale.group.querySelector('[tabindex="0"]').focus({ preventScroll: false });
  }

  function arm(scale) {
    armed?.group.classList.remove("q-armed");
    armed = scale;
    armed?.group.classList.add("q-armed");
  }

  function moveWithin(scale, event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const count = scale.names.length;
    const now = Number(document.activeElement?.dataset.value) || 1;
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") {
      document.activeElement.blur();
    } else if (step) {
      rate(scale, ((now - 1 + step + count) % count) + 1);
      arm(scale);
    } else if (event.key === "Home" || event.key === "End") {
      rate(scale, event.key === "Home" ? 1 : count);
      arm(scale);
    } else if (event.key !== " " && event.key !== "Enter") {
      return;
    }
    if (event.key !== " " && event.key !== "Enter") event.preventDefault();
    event.stopPropagation();
  }

  const scaleOf = (hotkey) => [...scales.values()].find((scale) => (
    scale.tag.hotkey?.toLowerCase() === hotkey && scale.group.offsetParent));

  /* --- reason and note boxes ------------------------------------------------------------------------------------------- */

  /* Label Studio takes what is typed only with Enter, into a second line. This box is the text itself. */
  function drawBox(tag, index) {
    const under = tag.elementRef?.current;
    if (!under || tag.perregion || Number(tag.maxsubmissions) !== 1) return;
    let box = boxes.get(tag.name);
    if (box && (box.tag !== tag || box.area.parentElement !== under.parentElement)) {
      closeBox(box);
      box = null;
    }
    if (!box) {
      box = makeBox(tag, under, BOX_KEYS[index] || null);
      boxes.set(tag.name, box);
    }
    showBox(box);
  }

  function makeBox(tag, under, hotkey) {
    const box = { tag, under, hotkey, area: null, timer: 0, isChanged: false };
    const words = tag.placeholder || wordsOf(tag);
    box.area = element("textarea", {
      class: "q-note",
      name: tag.name,
      rows: 1,
      placeholder: hotkey ? `${words} [${hotkey}]` : words,
      "aria-label": words,
      "aria-keyshortcuts": hotkey,
      oninput: () => {
        box.isChanged = true;
        grow(box);
        clearTimeout(box.timer);
        box.timer = setTimeout(() => commit(box), PAUSE);
      },
      onblur: () => commit(box),
      onkeydown: (event) => {
        if (event.key !== "Escape") return;
        event.stopPropagation();
        box.area.blur();
      },
    });
    under.classList.add("q-under");
    under.after(box.area);
    return box;
  }

  function closeBox(box) {
    /* The form may be gone with its row; while it stands, what is typed still goes into it. */
    if (box.tag.$treenode?.isAlive) commit(box);
    clearTimeout(box.timer);
    box.under.classList.remove("q-under");
    box.area.remove();
    boxes.delete(box.tag.name);
  }

  function showBox(box) {
    const stored = box.tag.regions.map((region) => region._value).join("\n") || box.tag._value || "";
    if (!box.isChanged && box.area.value.trim() !== stored.trim()) box.area.value = stored;
    box.area.readOnly = box.tag.isReadOnly();
    grow(box);
  }

  function grow(box) {
    const { area } = box;
    if (area.dataset.grown === area.value) return;
    area.style.height = "auto";
    area.style.height = `${area.scrollHeight + 2}px`;
    area.dataset.grown = area.value;
  }

  /* What is typed becomes the value of Label Studio's tag, so that no way of sending or leaving loses it. */
  function commit(box) {
    clearTimeout(box.timer);
    if (!box.isChanged) return;
    box.isChanged = false;
    const { tag } = box;
    const text = box.area.value.trim();
    const stored = tag.regions[0];
    tag.setValue("");
    if (!text && stored) tag.remove(stored);
    else if (text && stored) stored.setValue(text);
    else if (text) tag.addText(text);
  }

  function commitAll() {
    for (const box of boxes.values()) commit(box);
  }

  /* --- what is missing --------------------------------------------------------------------------------------------------- */

  const isAsked = (tag) => tag.required && !tag.perregion && tag.isVisible !== false && rowOf(tag)?.offsetParent;

  function missing(screen) {
    if (screen.stage !== "pass") return [];
    return controls(screen).filter((tag) => isAsked(tag) && !tag.holdsState);
  }

  function markMissing() {
    const screen = quorum.screen();
    if (!screen || !asksForMissing) return;
    const open = new Set(missing(screen));
    for (const tag of controls(screen)) mark(tag, open.has(tag));
    if (!open.size) closeMissing();
  }

  function mark(tag, isMissing) {
    const row = rowOf(tag);
    if (!row || row.classList.contains("q-missing") === isMissing) return;
    row.classList.toggle("q-missing", isMissing);
    row.querySelector(".q-missing-note")?.remove();
    if (!isMissing) return;
    const words = tag.requiredmessage || `${wordsOf(tag)} is missing.`;
    titleOf(tag)?.after(element("p", { class: "q-missing-note" }, words));
  }

  function closeMissing() {
    asksForMissing = false;
    document.getElementById("quorum-missing")?.remove();
    for (const row of document.querySelectorAll(".q-missing")) {
      row.classList.remove("q-missing");
      row.querySelector(".q-missing-note")?.remove();
    }
  }

  /* All at once, at the fields and in one sentence above the buttons; the first of them has the focus. */
  function askForMissing(screen) {
    const open = missing(screen);
    if (!open.length) return false;
    closeMissing();
    asksForMissing = true;
    markMissing();
    const names = open.map(wordsOf).join(", ");
    const sentence = open.length === 1 ? `Not sent: ${names} is missing.` : `Not sent: ${open.length} are missing: ${names}.`;
    const bar = document.querySelector(".lsf-bottombar");
    const line = element("div", { id: "quorum-missing", role: "alert" }, sentence);
    (bar?.parentElement || document.body).append(line);
    line.style.bottom = `${bar?.offsetHeight || 0}px`;
    focusField(open[0]);
    return true;
  }

  function focusField(tag) {
    const scale = scales.get(tag.name);
    if (scale) {
      focusPoint(scale);
      arm(scale);
      return;
    }
    boxes.get(tag.name)?.area.focus();
    if (!boxes.has(tag.name)) tag.elementRef.current.querySelector("input, select, textarea, button")?.focus();
  }

  /* Any key closes the sentence and does its own work; the marks at the fields go as the fields are filled in.
     The window hears of a key before the seam does. */
  window.addEventListener("keydown", (event) => {
    if (!/^(Control|Shift|Alt|Meta)$/.test(event.key)) document.getElementById("quorum-missing")?.remove();
  }, true);

  /* --- sending ------------------------------------------------------------------------------------------------------------- */

  document.addEventListener("click", (click) => {
    const screen = quorum.screen();
    if (!screen || !click.target.closest?.(SEND)) return;
    commitAll();
    if (!askForMissing(screen)) return;
    click.preventDefault();
    click.stopImmediatePropagation();
  }, true);

  function send(screen) {
    commitAll();
    if (askForMissing(screen)) return;
    document.querySelector(SEND_NOW)?.click();
  }

  const isWriting = () => /^(TEXTAREA|SELECT)$/.test(document.activeElement?.tagName || "")
    || document.activeElement?.matches?.("input:not([type=radio], [type=checkbox])");
  const isInField = () => /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName || "");

  for (const keys of ["ctrl+enter", "meta+enter"]) {
    quorum.key({
      keys,
      does: keys === "ctrl+enter" ? "Send the answer" : "",
      group: "Send",
      typing: true,
      /* Where nothing is missing and nothing is being typed, Label Studio's own key does it. */
      when: (screen) => screen.stage === "pass" && (isInField() || missing(screen).length > 0),
      run: send,
    });
  }

  /* A choice that was clicked keeps the focus, and Label Studio takes none of its keys from inside an input. */
  document.addEventListener("keydown", (event) => {
    const input = event.target;
    if (!event.isTrusted || !quorum.screen() || input.tagName !== "INPUT") return;
    if (!/^(radio|checkbox)$/.test(input.type) || !input.closest(".q-page")) return;
    if (/^(Tab|Enter| |Arrow\w+|Control|Shift|Alt|Meta)$/.test(event.key) && !(event.ctrlKey || event.altKey)) return;
    event.stopImmediatePropagation();
    event.preventDefault();
    const { key, code, keyCode, which, ctrlKey, altKey, metaKey, shiftKey } = event;
    const same = { key, code, keyCode, which, ctrlKey, altKey, metaKey, shiftKey, bubbles: true, cancelable: true };
    document.body.dispatchEvent(new KeyboardEvent("keydown", same));
  }, true);

  /* --- names ----------------------------------------------------------------------------------------------------------------- */

  /* What a screen reader says of Label Studio's own controls: groups by their heading, choices by their words and not by
     the key printed on them, labels of spans as buttons that are pressed or not. */
  function nameControl(tag) {
    const group = tag.elementRef?.current;
    if (tag.type === "choices" && group) {
      group.setAttribute("role", /^single/.test(tag.choice) ? "radiogroup" : "group");
      group.setAttribute("aria-label", wordsOf(tag));
      for (const input of group.querySelectorAll("input[name]")) {
        const choice = tag.children.find((each) => each._value === input.name || each.value === input.name);
        input.setAttribute("aria-label", input.name);
        if (choice?.hotkey) input.setAttribute("aria-keyshortcuts", choice.hotkey);
      }
    }
    if (/labels$/.test(tag.type)) nameLabels(tag);
  }

  const labelStates = new WeakMap();

  function nameLabels(tag) {
    const words = new Map(tag.children.map((label) => [label._value || label.value, label]));
    for (const drawn of document.querySelectorAll(".q-page .lsf-label")) {
      const text = drawn.querySelector(".lsf-label__text")?.textContent;
      const label = words.get(text);
      if (!label || labelStates.get(drawn) === label) continue;
      labelStates.set(drawn, label);
      drawn.setAttribute("role", "button");
      drawn.setAttribute("tabindex", "0");
      drawn.setAttribute("aria-label", text);
      if (label.hotkey) drawn.setAttribute("aria-keyshortcuts", label.hotkey);
      drawn.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        event.stopPropagation();
        drawn.click();
      });
      const show = () => drawn.setAttribute("aria-pressed", String(Boolean(labelStates.get(drawn).selected)));
      new MutationObserver(show).observe(drawn, { attributeFilter: ["class", "style"] });
      show();
    }
  }

  /* --- keys ------------------------------------------------------------------------------------------------------------------ */

  const bound = new Set();

  function bindScale(tag) {
    const keys = tag.hotkey?.toLowerCase();
    if (!keys || bound.has(keys)) return;
    bound.add(keys);
    quorum.key({
      keys,
      get does() {
        const scale = scaleOf(keys);
        return scale ? `${wordsOf(scale.tag)}: then 1 to ${scale.names.length}` : "";
      },
      group: "Scales",
      when: () => Boolean(scaleOf(keys)),
      run: () => {
        focusPoint(scaleOf(keys));
        arm(scaleOf(keys));
      },
    });
  }

  for (let digit = 1; digit <= 9; digit += 1) {
    quorum.key({
      keys: String(digit),
      does: "",
      isForNow: true, // after the scale's key, and until a digit
      when: () => armed !== null && digit <= armed.names.length,
      run: () => rate(armed, digit),
    });
  }

  /* Label Studio takes a required choice back when its key is pressed again, and the row could not be sent. */
  function isChosenByKey(screen, pressed) {
    return controls(screen).some((tag) => tag.required && /^single/.test(tag.choice || "")
      && (tag.children || []).some((choice) => choice.sel && choice.hotkey?.toLowerCase() === pressed));
  }

  document.addEventListener("keydown", (event) => {
    const screen = quorum.screen();
    if (!screen || screen.stage !== "pass" || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
    if (isWriting() || !isChosenByKey(screen, event.key.toLowerCase())) return;
    event.stopImmediatePropagation();
    event.preventDefault();
  }, true);

  for (const keys of BOX_KEYS) {
    const boxOf = () => [...boxes.values()].find((box) => box.hotkey === keys && box.area.offsetParent);
    quorum.key({
      keys,
      get does() {
        const box = boxOf();
        return box ? `${box.area.getAttribute("aria-label")} (Escape leaves)` : "";
      },
      group: "Texts that you write",
      when: () => Boolean(boxOf()),
      run: () => boxOf().area.focus(),
    });
  }

  /* --- the part -------------------------------------------------------------------------------------------------------------- */

  function drawn(screen) {
    if (!screen) return;
    const tags = controls(screen);
    for (const tag of tags.filter((each) => each.type === "rating")) {
      drawScale(tag);
      bindScale(tag);
    }
    tags.filter((each) => each.type === "textarea").forEach(drawBox);
    tags.forEach(nameControl);
    markMissing();
  }

  function close() {
    for (const box of [...boxes.values()]) closeBox(box);
    for (const scale of [...scales.values()]) closeScale(scale);
    closeMissing();
  }

  quorum.part("form", { drawn, close });
})();
