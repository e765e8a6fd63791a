/* Label Studio's screen shows nowhere why the server refused something: this puts the server's sentence there, in one
   line above the buttons, and a way to My work onto every page. It listens to the answers of the server, and does nothing
   on a screen that it does not know. */
(() => {
  "use strict";

  const NEXT = /^\/api\/(dm\/actions\/?$|projects\/\d+\/next\/?$)/;
  const SAVE = /^\/api\/(tasks\/\d+\/(annotations|drafts)|annotations\/\d+|drafts\/\d+)(\/|$)/;
  /* After these no second try helps: somebody else has the row, or it has gone on. */
  const LOST = new Set([
    "second", "full", "excluded", "sealed", "decided", "closed", "not_given", "not_yours", "no_role",
  ]);
  const UNKNOWN = "Your answer is not saved: the server did not say why. It is still on the screen: try again in a "
    + "moment, and tell your manager if it stays so.";
  const UNKNOWN_HERE = "The server did not do this, and did not say why. Try again in a moment, and tell your manager if "
    + "it stays so.";
  /* What Label Studio's own messages of faults point to: its maker's support and chat. */
  const FOREIGN = 'a[href*="humansignal.com"], a[href*="slack.labelstud.io"], a[href*="heartex"]';
  /* Of several sentences the first kind is shown: what stands in the way of everything, then what the server refused,
     at last what QA wrote about a row that came back. */
  const KINDS = ["held", "refusal", "notice", "returned"];
  const { element, link, shared, isCovered } = window.quorum;
  const lines = new Map();
  let emptyQueue = null;
  let lastRefusal = null;
  let lastWasSave = false;
  let asked = Promise.resolve();

  /* The refusal in an answer; null where it is none of this server's. */
  async function refusalIn(answer) {
    const body = await answer.clone().json().catch(() => null);
    return body && typeof body.code === "string" && typeof body.detail === "string" ? body : null;
  }

  async function look(request, answer) {
    const isNext = NEXT.test(request.path);
    const isSave = request.method !== "GET" && SAVE.test(request.path);
    if (!answer) return;
    if (answer.ok) {
      /* A draft that is saved changes nothing about an answer that was refused. */
      if (isSave && !request.path.includes("drafts")) unsay("refusal");
      if (isNext) emptyQueue = null;
      return;
    }
    const refusal = await refusalIn(answer);
    if (isNext) emptyQueue = refusal;
    if (refusal) lastRefusal = refusal;
    lastWasSave = isSave;
    const hasItsPlace = isNext && answer.status === 404 && isAtWork();
    if (refusal && request.path.startsWith("/api/") && !hasItsPlace) refuse(refusal, isSave);
    draw();
  }

  /* Label Studio has a place of its own for the end of a queue, on the labelling screen alone. */
  function isAtWork() {
    return new URLSearchParams(location.search).has("labeling");
  }

  function refuse(refusal, isSave) {
    const gone = isSave && LOST.has(refusal.code);
    say("refusal", gone ? `${refusal.detail} Your answer here was not sent.` : refusal.detail, gone ? {
      text: "Next row",
      act: () => location.assign(`${location.pathname}?labeling=1`),
    } : null);
  }

  /* --- the line --------------------------------------------------------------------------------------------------- */

  /* Say a sentence with at most one action {text, act}, until it is closed or unsaid; a held one is not closed. */
  function say(kind, sentence, action = null) {
    const before = lines.get(kind);
    lines.set(kind, { kind, sentence, action });
    /* What is on the screen already is not read aloud again. */
    if (!before || before.sentence !== sentence || before.action?.text !== action?.text) drawLine();
  }

  function unsay(kind) {
    if (lines.delete(kind)) drawLine();
  }

  function lineOf({ kind, sentence, action }) {
    const act = action && element(
      "button",
      { type: "button", class: "quorum-act", onclick: () => lines.get(kind)?.action.act() },
      action.text,
    );
    const close = kind === "held" ? null : element(
      "button",
      {
        type: "button", class: "quorum-close", "aria-label": "Close", title: "Close (Escape)",
        onclick: () => unsay(kind),
      },
      "×",
    );
    const said = element("span", {}, sentence);
    return element("div", { id: "quorum-refusal", class: `quorum-${kind}`, role: "alert" }, said, act, close);
  }

  function drawLine() {
    const focused = document.activeElement?.closest("#quorum-refusal");
    document.getElementById("quorum-refusal")?.remove();
    const first = KINDS.map((kind) => lines.get(kind)).find(Boolean);
    if (first) document.body.append(lineOf(first));
    if (focused) document.querySelector("#quorum-refusal button")?.focus();
    placeLine();
  }

  /* Above Label Studio's buttons, and the form gives way: the line covers neither it nor the decision. */
  function placeLine() {
    const line = document.getElementById("quorum-refusal");
    const bar = document.querySelector(".lsf-bottombar");
    const form = bar?.parentElement.querySelector(".lsf-main-content");
    const room = line && form ? `calc(100% - ${line.offsetHeight}px)` : "";
    for (const other of document.querySelectorAll(".quorum-gives-way")) {
      if (other === form && room) continue;
      other.style.maxHeight = "";
      other.classList.remove("quorum-gives-way");
    }
    if (!line) return;
    const height = bar?.getBoundingClientRect().height ? window.innerHeight - bar.getBoundingClientRect().top : 0;
    line.style.bottom = `${Math.max(0, height)}px`;
    if (form && form.style.maxHeight !== room) {
      form.style.maxHeight = room;
      form.classList.add("quorum-gives-way");
    }
  }

  /* Escape closes the line, also from the form; Label Studio's own Escape is as before where there is none. */
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.isComposing || isCovered()) return;
    const shown = KINDS.find((kind) => lines.has(kind));
    if (!shown || shown === "held") return;
    event.preventDefault();
    event.stopImmediatePropagation();
    unsay(shown);
  }, true);

  /* --- Label Studio's own words ----------------------------------------------------------------------------------- */

  /* Its messages name another company's support: a small one that goes by itself, and a dialog. */
  function replaceMessages() {
    for (const foreign of document.querySelectorAll(`li[data-state] :is(${FOREIGN})`)) {
      hide(foreign.closest("li"), "toast");
    }
    /* It has begun to say the server's words, after "Runtime error:" and over the buttons. */
    for (const message of document.querySelectorAll("li[data-state]")) {
      if (lastRefusal && message.textContent.includes(lastRefusal.detail)) hide(message, "toast");
    }
    for (const fault of document.querySelectorAll(".lsf-error-message, .ls-error-message")) {
      hide(fault.closest(".lsf-modal-ls, .ls-modal, .lsf-modal, [role=dialog]") || fault, "dialog");
    }
  }

  function hide(message, kind) {
    if (!message || message.classList.contains("quorum-hidden")) return;
    message.classList.add("quorum-hidden");
    if (kind === "dialog") message.remove();
    asked.then(() => {
      if (lines.size || document.getElementById("quorum-queue")) return;
      if (lastRefusal) refuse(lastRefusal, lastWasSave);
      else say("refusal", window.quorum.screen() ? UNKNOWN : UNKNOWN_HERE);
    });
  }

  /* The page on which somebody does what a refusal asks for, such as reading new guidelines; only pages of our own. */
  function wayOn({ link: way }) {
    const isOwn = typeof way?.address === "string" && way.address.startsWith("/quorum/");
    return isOwn ? link(String(way.text), way.address, { class: "quorum-way" }) : null;
  }

  /* There is nothing else to do on this screen: Enter goes there, unless somebody is in a dialog or elsewhere. */
  function leadOn(part) {
    const isFree = !document.activeElement || document.activeElement === document.body;
    if (isFree && !document.querySelector('[role="dialog"], .lsf-modal, .ls-modal')) {
      part.querySelector(".quorum-way")?.focus();
    }
  }

  /* The end of a queue: a green tick, whatever the reason. */
  function replaceEndOfQueue() {
    const stock = document.querySelector(".ant-result-success + .lsf-sub__result");
    const drawn = document.getElementById("quorum-queue");
    const sentence = emptyQueue && emptyQueue.detail;
    if (!stock || !sentence) {
      drawn?.remove();
      return;
    }
    if (drawn && drawn.parentElement === stock.parentElement && drawn.firstChild.textContent === sentence) {
      leadOn(drawn);
      return;
    }
    drawn?.remove();
    stock.style.display = "none";
    stock.previousElementSibling.style.display = emptyQueue.code === "all_done" ? "" : "none";
    const title = stock.previousElementSibling.querySelector(".ant-result-title");
    if (title) title.style.display = "none";
    const part = element(
      "div",
      { id: "quorum-queue", role: "status" },
      element("p", {}, sentence),
      wayOn(emptyQueue),
      link("My work", "/quorum/mine/"),
    );
    stock.after(part);
    leadOn(part);
  }

  /* On every page of Label Studio, in its header. */
  function addMyWork() {
    const header = document.querySelector(".lsf-menu-header, .ls-menu-header");
    if (!header || document.getElementById("quorum-mine")) return;
    const ours = link("My work", "/quorum/mine/", { id: "quorum-mine" });
    const before = header.querySelector('[class*="menu-header__hotkeys"]');
    if (before) before.before(ours);
    else header.append(ours);
  }

  function draw() {
    replaceMessages();
    replaceEndOfQueue();
    addMyWork();
    placeLine();
  }

  shared.line = Object.freeze({ say, unsay, refusalIn });
  window.quorum.onAnswer((request, answer) => {
    asked = look(request, answer);
    return asked;
  });
  window.addEventListener("resize", placeLine);
  window.quorum.part("refusals", { drawn: draw });
})();
