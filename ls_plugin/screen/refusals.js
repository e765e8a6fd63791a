/* Label Studio's screen shows nowhere why the server refused something: this puts the server's sentence there.
   It listens to the answers of the queue and of saving, and does nothing on a screen that it does not know. */
(() => {
  "use strict";

  const NEXT = /^\/api\/(dm\/actions\/?$|projects\/\d+\/next\/?$)/;
  const SAVE = /^\/api\/(tasks\/\d+\/(annotations|drafts)|annotations\/\d+|drafts\/\d+)(\/|$)/;
  const UNKNOWN = "Your answer is not saved: the server did not say why. It is still on the screen: try again in a "
    + "moment, and tell your manager if it stays so.";
  let emptyQueue = null;
  let asked = Promise.resolve();
  const { element, link } = window.quorum;

  /* The refusal in an answer; null where it is none of this server's. */
  async function refusalIn(answer) {
    const body = await answer.clone().json().catch(() => null);
    return body && typeof body.code === "string" && typeof body.detail === "string" ? body : null;
  }

  async function look(request, answer) {
    const isNext = NEXT.test(request.path);
    if (!answer || (!isNext && (request.method === "GET" || !SAVE.test(request.path)))) return;
    if (answer.ok) {
      /* A draft that is saved changes nothing about an answer that was refused. */
      if (!request.path.includes("drafts")) unsay();
      if (isNext) emptyQueue = null;
      return;
    }
    const refusal = await refusalIn(answer);
    if (isNext) emptyQueue = refusal;
    else if (refusal) say(refusal.detail);
    draw();
  }

  /* A refused save: a line above the buttons that stays until the next save goes through or it is closed. */
  function say(sentence) {
    unsay();
    const close = element("button", { type: "button", "aria-label": "Close", onclick: unsay }, "×");
    const line = element("div", { id: "quorum-refusal", role: "alert" }, element("span", {}, sentence), close);
    const buttons = document.querySelector(".lsf-bottombar");
    (buttons?.parentElement || document.body).append(line);
    line.style.bottom = `${buttons?.offsetHeight || 0}px`;
    /* The form gives way, so that the line covers neither it nor the decision. */
    const form = buttons?.parentElement.querySelector(".lsf-main-content");
    if (form) form.style.maxHeight = `calc(100% - ${line.offsetHeight}px)`;
  }

  function unsay() {
    const line = document.getElementById("quorum-refusal");
    const form = line?.parentElement.querySelector(".lsf-main-content");
    if (form) form.style.maxHeight = "";
    line?.remove();
  }

  /* Label Studio's own message about a save names another company's support. */
  function replaceMessages() {
    for (const foreign of document.querySelectorAll('li[data-state] a[href*="humansignal.com"]')) {
      const message = foreign.closest("li");
      if (message.style.display === "none") continue;
      message.style.display = "none";
      asked.then(() => document.getElementById("quorum-refusal") || say(UNKNOWN));
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
    if (drawn && drawn.parentElement === stock.parentElement && drawn.firstChild.textContent === sentence) return;
    drawn?.remove();
    stock.style.display = "none";
    stock.previousElementSibling.style.display = emptyQueue.code === "all_done" ? "" : "none";
    const title = stock.previousElementSibling.querySelector(".ant-result-title");
    if (title) title.style.display = "none";
    const part = element(
      "div",
      { id: "quorum-queue", role: "status" },
      element("p", {}, sentence),
      link("My work", "/quorum/mine/"),
    );
    stock.after(part);
  }

  function draw() {
    replaceMessages();
    replaceEndOfQueue();
  }

  window.quorum.onAnswer((request, answer) => {
    asked = look(request, answer);
    return asked;
  });
  window.quorum.part("refusals", { drawn: draw });
})();
