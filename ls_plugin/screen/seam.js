/* The seam between Label Studio's labelling screen and what Quorum adds to it. Every other file of this folder is a part
   that touches Label Studio only through this one, so that a new version of Label Studio is looked at in one place.
   A part that fails is switched off and named in the console: the screen is then Label Studio's own again. */
window.quorum = (() => {
  "use strict";

  const parts = new Map();
  const keys = [];
  const answers = [];
  const ways = [];
  let screen = null;
  let awaited = false;

  /* --- elements ---------------------------------------------------------------------------------------------------- */

  /* An element with attributes, event listeners ("onclick") and children. Texts become text, never markup. */
  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (value === true) made.setAttribute(name, "");
      else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
    }
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
  }

  /* Label Studio opens links of its own pages by script, which fails on a page that is not its own. */
  function link(text, address, attributes = {}) {
    const follow = (event) => {
      event.preventDefault();
      event.stopPropagation();
      location.assign(address);
    };
    return element("a", {
      ...attributes,
      href: address,
      target: "_self",
      onclick: follow,
      /* Label Studio keeps Enter for its own keys, and the browser then takes no link by it. */
      onkeydown: (press) => {
        if (press.key === "Enter" && !(press.ctrlKey || press.altKey || press.metaKey)) follow(press);
      },
    }, text);
  }

  /* --- the screen: one annotation of one task that is open ---------------------------------------------------------- */

  /* What is open now; null where no form is on the screen, or one that this seam does not know. */
  function look() {
    const store = window.Htx;
    const annotation = store?.annotationStore?.selected;
    const root = document.querySelector(".lsf-main-view__annotation");
    const data = store?.task?.dataObj;
    if (!annotation || !root || !data || typeof annotation.names?.get !== "function") return null;
    if (screen && screen.annotation === annotation && screen.root === root) return screen;
    if (!root.childElementCount) return null;
    const review = root.querySelector(".q-stage");
    return Object.freeze({
      store,
      annotation,
      root,
      task: store.task.id,
      row: data.row_id,
      data,
      stage: review ? (review.classList.contains("q-qa") ? "qa" : "expert") : "pass",
      /* A control or a text by its name in the interface, as Label Studio's store has it. */
      field: (name) => annotation.names.get(name),
    });
  }

  function draw() {
    awaited = false;
    const now = look();
    if (now !== screen) {
      const before = screen;
      screen = now;
      if (before) tell("close", before);
      if (now) tell("open", now);
    }
    tell("drawn", screen);
  }

  /* At most once a frame, however much changes; a page in the background draws no frames. */
  function drawSoon() {
    if (awaited) return;
    awaited = true;
    if (document.hidden) setTimeout(draw, 50);
    else requestAnimationFrame(draw);
  }

  function tell(event, ...arguments_) {
    for (const [name, part] of [...parts]) attempt(name, part[event], ...arguments_);
  }

  function attempt(name, act, ...arguments_) {
    if (!act) return undefined;
    try {
      return act(...arguments_);
    } catch (fault) {
      parts.delete(name);
      console.error(`Quorum: ${name} is switched off on this screen:`, fault);
      return undefined;
    }
  }

  /* Register a part: open(screen) when a form has come onto the screen, drawn(screen or null) after each change of the
     page, close(screen) when the form has gone. */
  function part(name, acts) {
    parts.set(name, acts);
    drawSoon();
  }

  /* The words of a rating's points, "" where a point has none. They stand in the interface's style sheet, where the stars
     show them, so that a server without this script shows them too. */
  function pointWords(tag, count) {
    const stars = tag.elementRef?.current?.querySelectorAll(".ant-rate-star div[role=radio]") || [];
    return Array.from({ length: count }, (_, place) => {
      const shown = stars[place] ? getComputedStyle(stars[place], "::after").content : "";
      return /^"(.*)"$/.exec(shown)?.[1].replaceAll('\\"', '"').replace(/^\d+\s*/, "") || "";
    });
  }

  /* --- what the server answers to Label Studio's own requests ------------------------------------------------------- */

  const fetchOfTheBrowser = window.fetch;
  const faultsOfTheBrowser = new WeakSet();
  window.fetch = function (input, init) {
    const request = {
      path: new URL(input?.url || String(input), location.href).pathname,
      method: ((init && init.method) || (input && input.method) || "GET").toUpperCase(),
      body: init && init.body,
    };
    const straight = (changed) =>
      fetchOfTheBrowser.call(this, input?.clone ? input.clone() : input, { ...init, ...changed }).catch((fault) => {
        if (Object(fault) === fault) faultsOfTheBrowser.add(fault);
        throw fault;
      });
    const answer = ways.reduce((send, way) => (changed) => carry(way, request, send, changed), straight)();
    answer.then(
      (arrived) => hear(request, arrived),
      () => hear(request, null),
    );
    return answer;
  };

  async function carry(way, request, send, changed) {
    let last = null;
    const again = (more) => (last = send({ ...changed, ...more }));
    try {
      return await way(request, again);
    } catch (fault) {
      if (faultsOfTheBrowser.has(fault)) throw fault; // no connection is no fault of the way
      ways.splice(ways.indexOf(way), 1);
      console.error("Quorum: a way of requests is switched off:", fault);
      return last || again(); // what was sent already is not sent twice
    }
  }

  /* Carry Label Studio's requests: way({path, method, body}, send) gives the answer, which send({body}) fetches, as often
     as the way asks for it. Where a request has failed for good, the way throws the fault that send gave it. */
  function through(way) {
    ways.push(way);
  }

  function hear(request, answer) {
    const report = (fault) => console.error("Quorum:", fault);
    for (const listen of answers) {
      try {
        Promise.resolve(listen(request, answer)).catch(report);
      } catch (fault) {
        report(fault);
      }
    }
    drawSoon();
  }

  /* Be told of each answer: listen({path, method, body}, answer), where answer is null if none arrived. Clone it to read it. */
  function onAnswer(listen) {
    answers.push(listen);
  }

  /* --- keys ----------------------------------------------------------------------------------------------------------- */

  /* Register a key: {keys: "alt+g", does: "Open the guidelines", run(screen), when(screen), typing: false}. It acts while a
     form is open; in a text box only with `typing`; inside an element with `data-own-keys`, which is no part of the form,
     only with `beside`. The first one whose `when` holds has the key to itself. */
  function key(binding) {
    keys.push(binding);
  }

  function chord(event) {
    const held = [event.ctrlKey && "ctrl", event.altKey && "alt", event.metaKey && "meta", event.shiftKey && "shift"];
    /* With Option a Mac's keyboard types signs: the letter is that of the key. */
    const letter = event.altKey && !/^[\x20-\x7e]$/.test(event.key) && /^Key([A-Z])$/.exec(event.code)?.[1];
    return [...held.filter(Boolean), (letter || event.key).toLowerCase()].join("+");
  }

  function isTyping() {
    const focus = document.activeElement;
    return !!focus && (focus.isContentEditable || /^(textarea|select)$/i.test(focus.tagName)
      || (focus.tagName === "INPUT" && !/^(radio|checkbox|button|submit)$/.test(focus.type)));
  }

  /* Whether a box of Label Studio's lies over the screen, such as the instructions: it has all keys to itself. */
  function isCovered() {
    return !!document.querySelector('[role="dialog"], .lsf-modal, .lsf-modal-ls, .ls-modal, .ls-modal-ls');
  }

  document.addEventListener("keydown", (event) => {
    if (!screen || event.isComposing || isCovered()) return;
    const pressed = chord(event);
    const typing = isTyping();
    const beside = !!document.activeElement?.closest("[data-own-keys]");
    for (const binding of keys) {
      if (binding.keys !== pressed || (typing && !binding.typing) || (beside && !binding.beside)) continue;
      if (binding.when && !binding.when(screen)) continue;
      event.preventDefault();
      event.stopImmediatePropagation();
      binding.run(screen);
      return;
    }
  }, true);

  new MutationObserver(drawSoon).observe(document.documentElement, { childList: true, subtree: true });
  /* `shared` is where a part gives something to the parts after it; `send` is the browser's fetch, carried by no way. */
  return Object.freeze({
    element, link, pointWords, part, key, keys, onAnswer, through, send: fetchOfTheBrowser.bind(window),
    shared: {}, drawSoon, isCovered, screen: () => screen,
  });
})();
