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

  const own = (tag, text, style) => Object.assign(document.createElement(tag), { textContent: text, style });

  /* Label Studio opens links of its own pages by script, which fails on a page that is not its own. */
  function link(text, address, style) {
    const made = Object.assign(own("a", text, style), { href: address, target: "_self" });
    made.addEventListener("click", (click) => {
      click.preventDefault();
      click.stopPropagation();
      location.assign(address);
    });
    return made;
  }

  /* The refusal in an answer; null where it is none of this server's. */
  async function refusalIn(answer) {
    const body = await answer.clone().json().catch(() => null);
    return body && typeof body.code === "string" && typeof body.detail === "string" ? body : null;
  }

  async function look(answer, method) {
    const path = new URL(answer.url, location.href).pathname;
    const isNext = NEXT.test(path);
    if (!isNext && (method === "GET" || !SAVE.test(path))) return;
    if (answer.ok) {
      /* A draft that is saved changes nothing about an answer that was refused. */
      if (!path.includes("drafts")) unsay();
      if (isNext) emptyQueue = null;
      return;
    }
    const refusal = await refusalIn(answer);
    if (isNext) emptyQueue = refusal;
    else if (refusal) say(refusal.detail);
    draw();
  }

  const fetchOfTheBrowser = window.fetch;
  window.fetch = function (input, init) {
    const answer = fetchOfTheBrowser.apply(this, arguments);
    const method = ((init && init.method) || (input && input.method) || "GET").toUpperCase();
    asked = answer.then((arrived) => look(arrived, method)).catch(() => undefined);
    return answer;
  };

  /* A refused save: a line above the buttons that stays until the next save goes through or it is closed. */
  function say(sentence) {
    unsay();
    const line = own("div", "", "position:absolute;left:0;right:0;z-index:10;display:flex;gap:12px;align-items:start;"
      + "justify-content:space-between;padding:8px 14px;background:#a61e14;color:#fff;font-size:15px;line-height:21px");
    line.id = "quorum-refusal";
    line.setAttribute("role", "alert");
    const close = own("button", "×", "border:0;background:none;color:inherit;font:inherit;font-size:20px;cursor:pointer");
    close.type = "button";
    close.setAttribute("aria-label", "Close");
    close.addEventListener("click", unsay);
    line.append(own("span", sentence, ""), close);
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
    const part = own("div", "", "max-width:640px;padding:0 24px;text-align:center;font-size:18px;line-height:27px;"
      + "color:var(--color-neutral-content,inherit)");
    part.id = "quorum-queue";
    part.setAttribute("role", "status");
    part.append(
      own("p", sentence, "margin:0 0 20px"),
      link("My work", "/quorum/mine/", "font-size:16px;text-decoration:underline"),
    );
    stock.after(part);
  }

  function draw() {
    replaceMessages();
    replaceEndOfQueue();
  }

  new MutationObserver(draw).observe(document.documentElement, { childList: true, subtree: true });
})();
