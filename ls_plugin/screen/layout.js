/* The window belongs to the row: Label Studio's side panel is folded, the texts get the room that the form leaves, and
   one key gives them all of it. */
(() => {
  "use strict";

  const quorum = window.quorum;
  const { element } = quorum;
  const FULL_KEYS = ["f", "p", "0"];
  const LONG = 112;

  /* --- Label Studio's side panel ------------------------------------------------------------------------------------------ */

  const PANELS = "panelState";
  const FOLDED = "quorum:panel-folded";

  /* Label Studio reads this when its app starts, which is after this script. Whoever has moved, detached or folded a
     panel has chosen; and what they do after this once is theirs as well. */
  function foldPanel() {
    const stored = JSON.parse(localStorage.getItem(PANELS) || "null");
    if (localStorage.getItem(FOLDED) || isChosen(stored)) return;
    const panelData = stored?.panelData || {
      "info-history": panel(1, 0, ["info", "history"]),
      "regions-relations": panel(2, 360, ["regions", "relations"]),
    };
    localStorage.setItem(PANELS, JSON.stringify({ panelData, collapsedSide: { left: false, right: true } }));
    localStorage.setItem(FOLDED, "1");
  }

  const isChosen = (stored) => Boolean(stored) && (
    Object.values(stored.collapsedSide || {}).some(Boolean)
    || Object.values(stored.panelData || {}).some((each) => each.detached || !each.visible || each.alignment !== "right"));

  function panel(order, top, views) {
    const titled = (name) => `${name[0].toUpperCase()}${name.slice(1)}`;
    return {
      order,
      top,
      left: 0,
      relativeLeft: 0,
      relativeTop: 0,
      zIndex: 10,
      width: 320,
      height: 360,
      visible: true,
      detached: false,
      alignment: "right",
      maxHeight: 500,
      panelViews: views.map((name, index) => ({ name, title: titled(name), active: index === 0 })),
    };
  }

  /* A browser that keeps nothing for this site, or a state that is no JSON, leaves the panel as Label Studio has it. */
  try {
    foldPanel();
  } catch (fault) {
    console.warn("Quorum: the side panel stays as it is:", fault);
  }

  /* --- a small window -------------------------------------------------------------------------------------------------------- */

  const small = matchMedia("(max-height: 730px), (max-width: 1240px)");
  let isBeside = false;

  /* The form draws together in a small window, and where a part takes a side of it. */
  function showCompact(beside = isBeside) {
    isBeside = beside;
    document.documentElement.classList.toggle("quorum-compact", small.matches || isBeside);
  }

  small.addEventListener("change", () => showCompact());
  showCompact();
  quorum.shared.showCompact = showCompact;

  /* --- the texts at full height --------------------------------------------------------------------------------------------- */

  let fullKey = null;

  function isTaken(screen, letter) {
    return [...screen.annotation.names.values()].some((tag) => (
      [tag, ...(tag.children || [])].some((each) => each.hotkey?.toLowerCase() === letter)));
  }

  const page = (screen) => screen?.root.querySelector(".q-page");

  function toggleFull(screen, wanted = null) {
    const isFull = page(screen).classList.toggle("q-full", wanted ?? undefined);
    showButton(screen);
    if (isFull) scroller(screen.root.querySelector(".q-response"))?.focus();
    measureSoon();
  }

  function showButton(screen) {
    const box = screen.root.querySelector(".q-texts .q-response");
    if (!box) return;
    let button = box.querySelector(".q-full-button");
    if (!button) {
      button = element("button", {
        type: "button", class: "q-full-button", onclick: () => toggleFull(quorum.screen()),
      });
      box.append(button);
    }
    const isFull = page(screen).classList.contains("q-full");
    const words = `${isFull ? "Show the form" : "Full height"}${fullKey ? ` [${fullKey.toUpperCase()}]` : ""}`;
    if (button.textContent !== words) button.textContent = words;
    button.setAttribute("aria-pressed", String(isFull));
  }

  for (const keys of FULL_KEYS) {
    quorum.key({
      keys,
      does: "The texts at full height, and back",
      group: "Reading",
      /* A review of two answers has its own keys for its texts. */
      when: (screen) => keys === fullKey && screen.stage === "pass" && Boolean(screen.root.querySelector(".q-texts")),
      run: (screen) => toggleFull(screen),
    });
  }

  /* A key of the form shows the form again: nothing is filled in unseen. The window hears of a key before the seam. */
  window.addEventListener("keydown", (event) => {
    const screen = quorum.screen();
    if (!page(screen)?.classList.contains("q-full") || event.ctrlKey || event.altKey || event.metaKey) return;
    const isFormKey = /^[a-z,.]$/i.test(event.key) && event.key.toLowerCase() !== fullKey;
    if (isFormKey || event.key === "Escape") toggleFull(screen, false);
  }, true);

  /* --- more below -------------------------------------------------------------------------------------------------------------- */

  const sizes = new ResizeObserver(() => measureSoon());
  const watched = new WeakSet();
  let awaited = false;

  const isScroller = (each) => /auto|scroll/.test(getComputedStyle(each).overflowY) && each.clientHeight > 0;

  /* What scrolls in a box: Label Studio's text, or what is drawn in its place. */
  function scroller(box) {
    const inside = [...(box?.querySelectorAll(":scope > :not(h4, button, .q-more)") || [])];
    return inside.find(isScroller) || inside.flatMap((each) => [...each.children]).find(isScroller) || null;
  }

  function measureSoon() {
    if (awaited) return;
    awaited = true;
    requestAnimationFrame(() => {
      awaited = false;
      const screen = quorum.screen();
      if (screen) measure(screen);
    });
  }

  function measure(screen) {
    for (const box of screen.root.querySelectorAll(".q-page .q-box")) {
      const text = scroller(box);
      if (!watched.has(box)) {
        watched.add(box);
        sizes.observe(box);
      }
      if (!text) continue;
      box.classList.toggle("q-tall", text.scrollHeight > LONG);
      showMore(box, text);
    }
    const texts = screen.root.querySelector(".q-page .q-texts");
    texts?.classList.toggle("q-long", Boolean(texts.querySelector(".q-tall")));
  }

  function showMore(box, text) {
    const isLonger = text.scrollHeight > text.clientHeight + 2;
    const left = text.scrollHeight - text.clientHeight - text.scrollTop;
    let mark = box.querySelector(":scope > .q-more");
    if (!mark && isLonger) {
      mark = element("div", { class: "q-more", "aria-hidden": "true" }, "more below ↓");
      box.append(mark);
    }
    if (mark) mark.hidden = left < 8;
    /* Who has no mouse scrolls with the keys, for which the text has to take the focus. */
    if (isLonger && !text.hasAttribute("tabindex")) {
      text.setAttribute("tabindex", "0");
      text.setAttribute("role", "region");
      text.setAttribute("aria-label", box.querySelector("h4")?.firstChild?.data || "Text");
    }
  }

  document.addEventListener("scroll", measureSoon, true);
  window.addEventListener("resize", measureSoon);

  /* --- the part ----------------------------------------------------------------------------------------------------------------- */

  function drawn(screen) {
    if (!screen || !page(screen)) return;
    fullKey = FULL_KEYS.find((letter) => !isTaken(screen, letter)) || null;
    if (screen.stage === "pass") showButton(screen);
    measure(screen);
  }

  quorum.part("layout", { drawn });
})();
