/* The keys of this screen in plain words; a question before what destroys; what putting a row off means. */
(() => {
  "use strict";

  const quorum = window.quorum;
  const { element } = quorum;
  const isMac = /mac/i.test(navigator.platform);
  const OWN_ORDER = ["Send", "Reading", "Scales", "Texts that you write"];

  /* --- dialogs ------------------------------------------------------------------------------------------------------------ */

  let opened = null;

  /* A dialog that keeps its keys to itself: Label Studio's would otherwise act on the form behind it. */
  function open(title, className, ...children) {
    close();
    const before = document.activeElement;
    const shut = () => close();
    opened = element(
      "dialog",
      {
        class: `q-dialog ${className}`,
        role: "dialog",
        "aria-modal": "true",
        "aria-label": title,
        onkeydown: (event) => event.stopPropagation(),
        onclose: () => {
          opened?.remove();
          opened = null;
          if (before?.isConnected) before.focus();
        },
        onclick: (click) => {
          if (click.target === opened) shut();
        },
      },
      ...children,
    );
    document.body.append(opened);
    opened.showModal();
    return opened;
  }

  function close() {
    opened?.close();
  }

  /* One sentence, and the harmless answer has the focus. */
  function ask(sentence, yes, act) {
    const keep = element("button", { type: "button", class: "q-keep", onclick: close }, "Keep");
    const agree = element("button", { type: "button", class: "q-agree", onclick: () => { close(); act(); } }, yes);
    open(sentence, "q-question", element("p", {}, sentence), element("div", {}, keep, agree));
    keep.focus();
  }

  /* --- the list of keys --------------------------------------------------------------------------------------------------- */

  const NAMES = { ctrl: isMac ? "⌃" : "Ctrl", meta: isMac ? "⌘" : "Meta", alt: isMac ? "⌥" : "Alt", shift: "Shift" };
  const ARROWS = { arrowdown: "↓", arrowup: "↑", arrowleft: "←", arrowright: "→" };

  function shown(keys) {
    const parts = keys === "+" ? ["+"] : keys.split("+").filter(Boolean);
    return parts.map((part) => NAMES[part] || ARROWS[part] || `${part[0].toUpperCase()}${part.slice(1)}`).join(" + ");
  }

  const control = (keys) => (isMac ? keys.replace("ctrl", "meta") : keys);

  /* Who gets a key now: the first that was registered and may act. Label Studio gets what nobody here wants. */
  const holderOf = (screen, keys) => quorum.keys.find((binding) => (
    binding.keys === keys && !binding.isForNow && (!binding.when || binding.when(screen))));

  /* A control that stands beneath another screen does nothing by its keys. */
  function isShown(screen, tag) {
    const drawn = tag.elementRef?.current || screen.root.querySelector(".lsf-label");
    return Boolean(drawn?.offsetParent);
  }

  function groups(screen) {
    const lists = new Map(OWN_ORDER.map((name) => [name, []]));
    const add = (group, keys, does) => {
      if (!lists.has(group)) lists.set(group, []);
      lists.get(group).push([shown(keys), does]);
    };
    add("Send", control("ctrl+enter"), "Send the answer");
    if (screen.store.hasInterface("skip")) add("Send", isMac ? "alt+enter" : "ctrl+space", "Skip the row, which is final");
    add("Send", control("ctrl+z"), "Undo");
    add("Send", control("ctrl+shift+z"), "Redo");
    add("Send", "?", "This list");
    for (const binding of quorum.keys) {
      const isSend = /^(ctrl|meta)\+enter$/.test(binding.keys) || binding.keys === "shift+?";
      const isOurs = binding.does && !isSend && !binding.isRemedy;
      if (isOurs && holderOf(screen, binding.keys) === binding) add(binding.group || "This screen", binding.keys, binding.does);
    }
    for (const tag of screen.annotation.names.values()) addControl(screen, tag, add);
    if (spanControls(screen).length) addSpanKeys(add);
    return [...lists].filter(([, list]) => list.length);
  }

  function addControl(screen, tag, add) {
    if (!tag.isControlTag || !isShown(screen, tag)) return;
    const title = tag.name.replaceAll("_", " ").replace(/^./, (letter) => letter.toUpperCase());
    for (const choice of tag.children || []) {
      const keys = choice.hotkey?.toLowerCase();
      if (keys && !holderOf(screen, keys)) add(title, keys, choice._value || choice.value);
    }
  }

  const spanControls = (screen) => (
    [...screen.annotation.names.values()].filter((tag) => tag.isControlTag && /labels$/.test(tag.type) && isShown(screen, tag)));

  function addSpanKeys(add) {
    const group = "Spans";
    add(group, "alt+.", "Select the next span");
    add(group, "escape", "Let go of the selected span");
    add(group, "backspace", "Delete the selected span");
    add(group, control("ctrl+backspace"), "Delete all spans (asks first)");
    add(group, control("ctrl+h"), "Hide or show all spans");
  }

  function showKeys(screen) {
    const list = ([title, lines]) => element(
      "section",
      {},
      element("h3", {}, title),
      element("dl", {}, ...lines.flatMap(([keys, does]) => [
        element("dt", {}, element("kbd", {}, keys)),
        element("dd", {}, does),
      ])),
    );
    const shut = element("button", { type: "button", class: "q-close", "aria-label": "Close", onclick: close }, "×");
    const heading = element("h2", {}, "Keys of this screen");
    open("Keys of this screen", "q-keys", element("header", {}, heading, shut),
      element("div", { class: "q-key-groups", tabindex: 0, role: "region", "aria-label": "The keys" },
        ...groups(screen).map(list)));
    shut.focus();
  }

  quorum.key({ keys: "shift+?", does: "This list", group: "Send", run: showKeys });
  quorum.key({ keys: "?", does: "", run: showKeys });

  /* --- what destroys ------------------------------------------------------------------------------------------------------- */

  /* Label Studio's own key takes every choice and rating with the spans; this one takes the spans. */
  function askToDelete(screen) {
    const spans = screen.annotation.regions.filter((region) => !region.classification && !region.isReadOnly());
    if (!spans.length) return;
    const words = spans.length === 1 ? "the only span" : `all ${spans.length} spans`;
    ask(`Delete ${words} of this row?`, "Delete", () => {
      const { history } = screen.annotation;
      history.freeze("quorum"); // one step, which one undo takes back
      for (const span of spans) span.deleteRegion();
      history.unfreeze("quorum");
    });
  }

  for (const keys of ["ctrl+backspace", "meta+backspace"]) {
    quorum.key({ keys, does: "Delete all spans (asks first)", isRemedy: true, run: askToDelete });
  }

  let isAgreed = false;

  function instead(click) {
    const screen = quorum.screen();
    const target = screen && click.target.closest?.("button");
    if (!target) return;
    if (target.dataset.testid === "hotkeys-button") {
      stop(click);
      showKeys(screen);
    } else if (target.dataset.testid === "bottombar-reset-button" && !isAgreed) {
      stop(click);
      ask("Take back everything that you changed on this row?", "Take back", () => {
        isAgreed = true;
        target.click();
        isAgreed = false;
      });
    }
  }

  function stop(event) {
    event.preventDefault();
    event.stopImmediatePropagation();
  }

  document.addEventListener("click", instead, true);

  /* --- putting a row off ----------------------------------------------------------------------------------------------------- */

  const DRAFT = /^\/api\/(tasks\/\d+\/drafts|drafts\/\d+)(\/|$)/;

  async function tellPutOff({ path, method, body }, answer) {
    if (!answer?.ok || method === "GET" || !DRAFT.test(path) || !/"was_postponed":\s*true/.test(String(body))) return;
    const project = /^\/projects\/(\d+)/.exec(location.pathname)?.[1];
    const asked = project && await fetch(`/quorum/api/put-off?project=${project}`);
    if (asked?.ok) sayPutOff(await asked.json());
  }

  function sayPutOff({ rows, most }) {
    if (!rows.length) return;
    const until = new Date(rows.at(-1).until);
    const clock = until.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    const count = rows.length === 1 ? "One row is put off" : `${rows.length} rows are put off`;
    const sentence = `${count}, of at most ${most}; ${rows.length === 1 ? "it" : "the last"} is kept for you until `
      + `${clock}. What is put off comes back when nothing else is left.`;
    document.getElementById("quorum-put-off")?.remove();
    document.body.append(element("div", { id: "quorum-put-off", role: "status" }, sentence));
  }

  /* The sentence stays until the next thing is done. */
  for (const event of ["keydown", "pointerdown"]) {
    document.addEventListener(event, () => document.getElementById("quorum-put-off")?.remove(), true);
  }

  function drawn() {
    document.querySelector('[data-testid="hotkeys-button"]:not([aria-label])')?.setAttribute("aria-label", "Keyboard shortcuts");
  }

  quorum.onAnswer(tellPutOff);
  quorum.part("help", { drawn, close });
})();
