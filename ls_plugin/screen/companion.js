/* One panel beside the form: the guidelines at the field in hand, the row's thread, one's own pace, and for reviews what was
   decided of rows like it. Folded it is a button between Label Studio's own, and the form has all of the window. */
(() => {
  "use strict";

  const quorum = window.quorum;
  const { element, shared } = quorum;
  const KEPT = "quorum.companion.";
  const EVERY_MS = 60_000;
  const HOVER_MS = 200;
  const LONGEST = 2000;
  /* Below this width a panel beside the form would leave it too little: it then lies over it. */
  const ROOMY = 1240;
  const FLAGS = "flags";
  const NAMES = {
    question: "You asked", answer: "Answer", dispute: "You disagreed", reopened: "Opened again", return: "Returned",
    note: "Note", announcement: "To everybody",
  };
  const mac = /mac/i.test(navigator.platform);
  const shown = (letter) => (mac ? `⌥${letter}` : `Alt+${letter}`);

  let panel = null;
  let button = null;
  let isOpen = false;
  /* What the server said of the open row; null before, false where it has nothing for this person. */
  let told = null;
  let askedTask = null;
  let precedents = { task: null, list: [] };
  let knownHash = "";
  let opener = null;
  let inHand = null;
  let lastHere = null;
  /* The row and campaign that the question in the box is about: those of its first word, whatever row comes next. */
  let question = null;
  let isAsking = false;

  const part = (name) => panel.querySelector(`.qc-${name}`);
  const person = () => window.APP_SETTINGS?.user?.id ?? "";

  /* A browser that keeps nothing for this site folds the panel each time. */
  function remember(open) {
    try {
      if (open) localStorage.setItem(KEPT + person(), "open");
      else localStorage.removeItem(KEPT + person());
    } catch (fault) {
      console.warn("Quorum: the panel's state is not kept:", fault);
    }
  }

  function wasOpen() {
    try {
      return localStorage.getItem(KEPT + person()) === "open";
    } catch (fault) {
      return false;
    }
  }

  /* --- what the server says ------------------------------------------------------------------------------------------------- */

  async function load(screen) {
    const { task } = screen;
    askedTask = task;
    const answer = await fetch(`/quorum/api/companion?task=${task}&guidelines=${knownHash}`).catch(() => null);
    /* Without a connection or a session what is there stays; who was not handed the row has the guidelines alone. */
    if (askedTask !== task || !answer || !(answer.ok || answer.status === 404)) return;
    told = answer.ok ? await answer.json() : false;
    if (told && told.guidelines.text !== null) {
      knownHash = told.guidelines.hash;
      shared.guide.take(told.guidelines.text).catch((fault) => console.error("Quorum:", fault));
    }
    quorum.drawSoon();
  }

  /* Where a server has none, or none for this row, the place for them is not shown. */
  async function loadPrecedents(screen) {
    if (screen.stage === "pass" || precedents.task === screen.task) return;
    const mine = { task: screen.task, list: [] };
    precedents = mine;
    const answer = await fetch(`/quorum/api/precedents?task=${mine.task}`).catch(() => null);
    if (answer?.ok) mine.list = (await answer.json()).precedents || [];
    quorum.drawSoon();
  }

  function refresh() {
    const screen = quorum.screen();
    if (screen && isOpen && !document.hidden) load(screen);
  }

  /* --- the panel ------------------------------------------------------------------------------------------------------------ */

  function build() {
    const act = (words, letter, run) => element("button", { type: "button", onclick: run }, words,
      letter && element("kbd", {}, shown(letter)));
    panel = element("aside", { id: "quorum-companion", "aria-label": "Guidelines and questions", "data-own-keys": true,
      onkeydown: pressed },
    element("header", {}, element("p", { class: "qc-pace" }),
      element("button", { type: "button", class: "qc-close", "aria-label": "Fold the panel", onclick: close },
        element("kbd", {}, shown("G")), " ×")),
    element("div", { class: "qc-search", role: "search" },
      element("input", { type: "search", class: "qc-words", "aria-label": "Search the guidelines",
        placeholder: "Search the guidelines", oninput: search }),
      element("span", { class: "qc-count", role: "status" })),
    element("div", { class: "qc-guide", tabindex: 0, role: "region", "aria-label": "Guidelines" }),
    element("details", { class: "qc-precedents", hidden: true, open: true },
      element("summary", {}, "Precedents"), element("ul", { class: "qc-precedent-list" })),
    element("section", { class: "qc-thread", "aria-label": "Thread of this row" },
      element("ul", { class: "qc-messages", tabindex: 0, "aria-label": "What was said of this row", hidden: true }),
      element("label", { class: "qc-about", for: "quorum-question" }),
      element("textarea", { id: "quorum-question", class: "qc-question", rows: 2, maxlength: LONGEST, dir: "auto",
        placeholder: `Only the managers read it. ${shown("A")} comes here, ${mac ? "⌘" : "Ctrl"}+Enter sends.`, oninput: nameRow }),
      element("div", { class: "qc-acts" }, act("Ask", "", ask), act("Flag", "L", () => flag(quorum.screen())),
        element("a", { class: "qc-mine", href: "/quorum/mine/", target: "_blank", rel: "noopener" }, "My work"))),
    element("p", { class: "qc-said", role: "status" }));
  }

  function open(target) {
    if (!isOpen) opener = document.activeElement;
    else if (!panel.contains(document.activeElement)) opener = document.activeElement;
    if (!panel) build();
    isOpen = true;
    say("");
    remember(true);
    draw(quorum.screen());
    load(quorum.screen());
    (target === "question" && !part("question").disabled ? part("question") : part("words")).focus();
    if (inHand) show(inHand);
  }

  function close() {
    const isInside = panel.contains(document.activeElement);
    isOpen = false;
    remember(false);
    draw(quorum.screen());
    if (isInside) back();
  }

  /* The focus goes where it was in the form; the screen of what differs may have drawn that row anew. */
  function back() {
    const isThere = opener?.isConnected && opener !== document.body && !panel.contains(opener);
    const target = isThere ? opener : document.querySelector("#quorum-review .qr-row.qr-in-hand button");
    if (target) target.focus({ preventScroll: true });
    else document.activeElement?.blur();
  }

  function toggle() {
    if (isOpen) close();
    else open("words");
  }

  /* The panel's keys are its own: none of them reaches the form. */
  function pressed(event) {
    const isSend = event.key === "Enter" && (event.ctrlKey || event.metaKey);
    event.stopPropagation();
    if (event.key === "Escape") {
      if (document.activeElement === part("words") && part("words").value) {
        part("words").value = "";
        search();
      } else back();
    } else if (document.activeElement === part("question") && isSend) ask();
    else if (document.activeElement === part("words") && event.key === "Enter") step(event.shiftKey ? -1 : 1);
    else return;
    event.preventDefault();
  }

  function say(words) {
    if (panel) part("said").textContent = words;
  }

  /* --- drawing ---------------------------------------------------------------------------------------------------------------- */

  function paceWords(pace) {
    const speed = pace.per_hour === null ? "" : ` · ${Math.round(pace.per_hour)} an hour`;
    return `Today ${pace.answered}${speed}${pace.target ? ` (target ${pace.target})` : ""}`;
  }

  function draw(screen) {
    const isHere = !!screen && !!(told || screen.store.description);
    if (isHere && !button) {
      button = element("button", { type: "button", id: "quorum-companion-button", onclick: toggle });
      document.body.append(button);
    }
    if (button) drawButton(isHere);
    if (isHere && isOpen && !panel) build();
    if (!panel) return;
    if (isHere && isOpen && !panel.isConnected) document.body.append(panel);
    if (!(isHere && isOpen) && panel.isConnected) panel.remove();
    const isBeside = isHere && isOpen && innerWidth >= ROOMY;
    document.documentElement.classList.toggle("quorum-beside", isBeside);
    shared.showCompact(isBeside);
    if (isHere && isOpen) {
      fit();
      drawParts(screen);
      loadPrecedents(screen);
    }
  }

  function drawButton(isHere) {
    const answered = (told?.messages || []).filter((message) => message.by !== "you").length;
    const words = [
      isOpen ? "Fold" : "Guidelines, questions", ` ${shown("G")}`, told ? ` · ${paceWords(told.pace)}` : "",
      answered && !isOpen ? ` · ● ${answered} for this row` : "",
    ].join("");
    write(button, words);
    setHidden(button, !isHere);
    /* Label Studio's own buttons are left and right of it. */
    const [left, right] = [...document.querySelectorAll(".lsf-bottombar > .lsf-bottombar__group")].map((group) => group.getBoundingClientRect());
    if (left && right) {
      place(button, "left", left.right);
      place(button, "maxWidth", Math.max(right.left - left.right - 12, 40));
    }
    button.setAttribute("aria-expanded", String(isOpen));
  }

  function drawParts(screen) {
    const guide = shared.guide.guide(screen);
    if (part("guide").firstChild !== guide) {
      part("guide").replaceChildren(guide);
      if (inHand) show(inHand);
    }
    write(part("pace"), told ? paceWords(told.pace) : "");
    drawMessages(told?.messages || []);
    drawPrecedents(precedents.task === screen.task ? precedents.list : []);
    if (!part("question").value) question = told ? { row: String(told.row_id), campaign: told.campaign } : null;
    nameRow();
    part("question").disabled = !question;
    setHidden(part("thread"), told === false);
  }

  function nameRow() {
    const isOther = question && told && question.row !== String(told.row_id);
    const unsent = isOther ? ", an earlier row, is not sent" : "";
    write(part("about"), question ? `Your question about row ${question.row}${unsent}` : "Ask once a row is yours.");
  }

  function drawMessages(messages) {
    const key = JSON.stringify(messages);
    const list = part("messages");
    if (list.dataset.key === key) return;
    list.dataset.key = key;
    list.hidden = !messages.length;
    list.replaceChildren(...messages.map((message) => element("li", { class: `qc-kind-${message.kind}` },
      element("span", { class: "qc-who" }, `${NAMES[message.kind] || message.kind}${roleWords(message)}`,
        element("time", { datetime: message.at }, ` ${new Date(message.at).toLocaleString([], { dateStyle: "short", timeStyle: "short" })}`)),
      element("span", { class: "qc-text", dir: "auto" }, message.text))));
    list.scrollTop = list.scrollHeight;
  }

  const roleWords = (message) => (message.by === "you" || !message.role ? "" : ` · ${message.role}`);

  function drawPrecedents(list) {
    const key = JSON.stringify(list);
    if (part("precedents").dataset.key === key) return;
    part("precedents").dataset.key = key;
    part("precedents").hidden = !list.length;
    const values = (precedent) => Object.entries(precedent.values || {})
      .map(([name, value]) => `${name.replaceAll("_", " ")}: ${valueWords(value)}`).join(" · ");
    part("precedent-list").replaceChildren(...list.map((precedent) => element("li", { dir: "auto" },
      element("b", {}, `${precedent.row_id} · ${Math.round(100 * precedent.similarity)} % alike`),
      element("span", { class: "qc-text" }, precedent.state === "DISCARDED" ? "discarded" : values(precedent)),
      precedent.reason && element("span", { class: "qc-text" }, `“${precedent.reason}”`),
      element("span", { class: "qc-quiet" }, [precedent.domain, precedent.cause].filter(Boolean).join(" · ")),
      precedent.excerpt && element("span", { class: "qc-text qc-quiet" }, precedent.excerpt))));
  }

  function valueWords(value) {
    if (Array.isArray(value)) return value.map(valueWords).join(", ") || "–";
    if (value && typeof value === "object") return [value.text, value.label].filter(Boolean).join(" ") || JSON.stringify(value);
    return String(value ?? "–");
  }

  function write(target, words) {
    if (target.textContent !== words) target.textContent = words;
  }

  function place(target, side, pixels) {
    const now = `${Math.round(pixels)}px`;
    if (target.style[side] !== now) target.style[side] = now;
  }

  function setHidden(target, hidden) {
    if (target.hidden !== hidden) target.hidden = hidden;
  }

  /* Where Label Studio has its form: between its own bars, and left of its own panel. */
  function fit() {
    const form = document.querySelector(".lsf-main-content")?.getBoundingClientRect();
    if (!form) return;
    const bar = document.querySelector(".lsf-bottombar")?.getBoundingClientRect();
    const top = Math.max(form.top, 0);
    place(panel, "top", top);
    place(panel, "height", Math.min(form.bottom, innerHeight, bar?.top ?? innerHeight) - top);
    place(panel, "right", innerWidth - form.right);
  }

  /* --- the guidelines ------------------------------------------------------------------------------------------------------------ */

  /* What the guidelines say about a field or a label comes into view. */
  function show({ field, label }) {
    const found = shared.guide.place(quorum.screen(), field, label);
    clearMarks();
    if (!found) return;
    lastHere = shared.guide.paragraph(found);
    lastHere.classList.add("qc-here");
    found.classList.add("qc-here-word");
    bring(lastHere);
  }

  function clearMarks() {
    for (const each of part("guide").querySelectorAll(".qc-here, .qc-here-word")) each.classList.remove("qc-here", "qc-here-word");
  }

  function bring(block) {
    const box = part("guide");
    box.scrollTop += block.getBoundingClientRect().top - box.getBoundingClientRect().top - 24;
  }

  /* Which search hit is in view; the hits are paragraphs, points and rows. */
  let hits = [];
  let hit = 0;

  function search() {
    const words = part("words").value.trim().toLowerCase();
    for (const each of hits) each.classList.remove("qc-hit", "qc-hit-now");
    const blocks = [...part("guide").querySelectorAll('p, li, tr, pre, [role="heading"]')];
    const leaves = blocks.filter((block) => !blocks.some((other) => other !== block && block.contains(other)));
    hits = words ? leaves.filter((block) => block.textContent.toLowerCase().includes(words)) : [];
    for (const each of hits) each.classList.add("qc-hit");
    hit = 0;
    step(0);
    if (!words) write(part("count"), "");
  }

  function step(by) {
    hits[hit]?.classList.remove("qc-hit-now");
    hit = hits.length ? (hit + by + hits.length) % hits.length : 0;
    hits[hit]?.classList.add("qc-hit-now");
    write(part("count"), hits.length ? `${hit + 1} of ${hits.length}` : "not found");
    if (hits.length) bring(hits[hit]);
  }

  /* --- the field in hand ------------------------------------------------------------------------------------------------------------ */

  function fieldsOf(screen) {
    const { quorumReview } = window;
    return [...quorumReview.fields(screen), quorumReview.fieldOf(screen, FLAGS)].filter(Boolean);
  }

  function take(field, label) {
    if (!field || (inHand?.field.name === field.name && inHand.label?.value === label?.value)) return;
    inHand = { field, label };
    if (isOpen && panel && !panel.contains(document.activeElement)) show(inHand);
  }

  /* The field, and the label, that an element of the form belongs to. */
  function ownerOf(screen, target) {
    const fields = fieldsOf(screen);
    const row = target.closest?.(".qr-row[data-field]");
    if (row) {
      const field = fields.find((each) => each.name === row.dataset.field);
      const value = target.closest("[data-option]")?.dataset.option;
      return [field, value === undefined ? null : field?.labels.find((label) => JSON.stringify(label.value) === value)];
    }
    const words = target.closest?.(".lsf-choice, .lsf-label, [role=radio]")?.textContent.trim() || "";
    const isMarker = !!target.closest?.(".lsf-label");
    const named = (field) => field.labels.filter((label) => label.title && words.startsWith(label.title))
      .sort((one, other) => other.title.length - one.title.length)[0];
    /* Label Studio's labels of spans do not say of which control they are. */
    const field = fields.find((each) => (isMarker
      ? each.kind === "spans" && named(each)
      : screen.field(each.name).elementRef?.current?.contains(target)));
    return [field, field && words ? named(field) : null];
  }

  let hovering = 0;

  function hovered({ target }) {
    const screen = quorum.screen();
    clearTimeout(hovering);
    if (!screen || !isOpen || !screen.root.contains(target)) return;
    hovering = setTimeout(() => target.isConnected && take(...ownerOf(screen, target)), HOVER_MS);
  }

  function chosen({ target }) {
    const screen = quorum.screen();
    if (screen?.root.contains(target)) take(...ownerOf(screen, target));
  }

  /* A key of the form: Label Studio chooses without a change of the focus. */
  function keyed(event) {
    const screen = quorum.screen();
    if (!screen || screen.stage !== "pass" || event.ctrlKey || event.altKey || event.metaKey) return;
    if (document.activeElement?.closest("textarea, input[type=text], input[type=search], [data-own-keys]")) return;
    const pressedKey = `${event.shiftKey ? "shift+" : ""}${event.key.toLowerCase()}`;
    for (const field of fieldsOf(screen)) {
      const label = field.labels.find((each) => each.key && each.key.toLowerCase() === pressedKey);
      if (label || screen.field(field.name).hotkey?.toLowerCase() === pressedKey) {
        take(field, label);
        return;
      }
    }
  }

  /* On the screen of what differs the row in hand is known by its look. */
  function follow(screen) {
    const row = screen.stage === "pass" ? null : screen.root.querySelector(".qr-row.qr-in-hand");
    if (row && inHand?.field.name !== row.dataset.field) {
      take(fieldsOf(screen).find((field) => field.name === row.dataset.field), null);
    }
  }

  /* --- ask and flag --------------------------------------------------------------------------------------------------------------------- */

  async function ask() {
    const text = part("question").value.trim();
    if (!text || !question) {
      say("Write what you want to know.");
      part("question").focus();
      return;
    }
    if (isAsking) return;
    isAsking = true;
    const answer = await fetch("/quorum/api/threads", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ name: question.campaign, kind: "question", row_id: question.row, text }),
    }).catch(() => null);
    isAsking = false;
    if (!answer?.ok) {
      const why = answer && (await answer.json().catch(() => null))?.detail;
      say(`Not sent: ${why || "the server cannot be reached; send it again."}`);
      return;
    }
    if (part("question").value.trim() === text) part("question").value = "";
    say("Asked. Only the managers read it; the answer comes here and on My work.");
    back();
    refresh();
  }

  /* To the form's own flags; where it has none, a question is the way. */
  function flag(screen) {
    const tag = screen.field(FLAGS);
    if (!tag) {
      open("question");
      say("This form has no flags: ask instead.");
      return;
    }
    const fold = document.querySelector('#quorum-review .qr-fold[aria-expanded="false"]');
    if (fold && !flagControl(screen)) fold.click();
    setTimeout(() => {
      const control = flagControl(screen);
      control?.focus();
      control?.scrollIntoView({ block: "nearest" });
    });
  }

  function flagControl(screen) {
    const review = document.getElementById("quorum-review");
    const box = review ? review.querySelector(`.qr-row[data-field="${FLAGS}"]`) : screen.field(FLAGS).elementRef?.current;
    return box?.querySelector("input, button") || null;
  }

  /* --- the part ----------------------------------------------------------------------------------------------------------------------------- */

  const group = "Beside the form";
  quorum.key({ keys: "alt+g", does: "Guidelines and questions: open, fold", group, typing: true, beside: true, run: toggle });
  quorum.key({ keys: "alt+a", does: "Ask about this row", group, typing: true, beside: true, run: () => open("question") });
  quorum.key({ keys: "alt+l", does: "To the flags", group, typing: true, beside: true, run: flag });

  document.addEventListener("pointerover", hovered, true);
  document.addEventListener("focusin", chosen);
  document.addEventListener("click", chosen);
  window.addEventListener("keydown", keyed, true);
  window.addEventListener("resize", () => draw(quorum.screen()));
  window.addEventListener("focus", refresh);
  setInterval(refresh, EVERY_MS);

  let isRemembered = false;

  quorum.part("companion", {
    open(screen) {
      /* Only now is it sure that the page has said who is here. */
      if (!isRemembered) isOpen = wasOpen();
      isRemembered = true;
      if (askedTask !== screen.task) told = null;
      inHand = null;
      load(screen);
    },
    drawn(screen) {
      draw(screen);
      if (screen) follow(screen);
    },
    close: () => say(""),
  });
})();
