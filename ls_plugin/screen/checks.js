/* The rules between fields that the guidelines state, told while the form is filled in. The server reads what stands in
   the form by the same rules with which it takes an answer, so that they have one meaning; here is only where it is said. */
(() => {
  "use strict";

  const PAUSE_MS = 150;
  const { element, part, drawSoon } = window.quorum;
  let asked = "";
  let seen = "";
  let violated = [];
  let waiting = 0;

  const hasChecks = (screen) => /\schecks=/.test(screen?.store.config || "");

  /* What stands in the form, as it would be sent; without drafts, ids and times, which change by themselves. */
  function content(screen) {
    const result = screen.annotation.serializeAnnotation();
    return JSON.stringify(result.map(({ from_name, to_name, type, value }) => ({ from_name, to_name, type, value })));
  }

  async function ask(screen, sent) {
    const answer = await fetch(`/quorum/api/checks?task=${screen.task}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: `{"result": ${sent}}`,
    }).catch(() => null);
    /* While somebody goes on typing, an answer about what stood there before is of no use. Without one, nothing is said:
       the server looks again when the answer is sent. */
    if (sent !== asked) return;
    violated = answer?.ok ? (await answer.json()).checks : [];
    drawSoon();
  }

  /* Reading the whole form takes longer than drawing it, so it is read after a pause and not at each drawn frame. */
  function look(screen) {
    waiting ||= setTimeout(settle, PAUSE_MS, screen);
  }

  /* What has stood there for a pause is asked about: not each letter, nor each step of a rating. */
  function settle(screen) {
    waiting = 0;
    const sent = content(screen);
    if (sent === asked) return;
    if (sent !== seen) {
      seen = sent;
      look(screen);
      return;
    }
    asked = sent;
    ask(screen, sent);
  }

  /* One part at the end of the form, which a screen reader reads out when it changes; the fields that it is about are
     marked. Where people review, the form stays beneath and the screen of what differs has the place above its buttons. */
  function say(screen) {
    const review = document.querySelector("#quorum-review");
    const form = review || screen.root.querySelector(".q-form") || screen.root;
    let told = document.getElementById("quorum-checks");
    if (told?.parentElement !== form) {
      told?.remove();
      told = element("div", { id: "quorum-checks", role: "status" });
      form.insertBefore(told, review?.querySelector(":scope > .qr-bar") || null);
    }
    mark(screen);
    const text = JSON.stringify(violated);
    if (told.dataset.told === text) return;
    told.dataset.told = text;
    told.replaceChildren(...violated.map((check) => element("p", { class: `quorum-${check.level}` },
      check.level === "block" ? `Cannot be submitted: ${check.say}` : check.say)));
  }

  function mark(screen) {
    const about = [...new Set(violated.flatMap((check) => check.fields))].map((name) => screen.field(name));
    const rows = new Set(about.map((tag) => tag?.elementRef?.current?.closest?.(".q-scale, .q-row")).filter(Boolean));
    for (const row of screen.root.querySelectorAll(".quorum-unfit")) if (!rows.has(row)) row.classList.remove("quorum-unfit");
    for (const row of rows) row.classList.add("quorum-unfit");
  }

  function forget() {
    clearTimeout(waiting);
    waiting = 0;
    asked = "";
    seen = "";
    violated = [];
    document.getElementById("quorum-checks")?.remove();
  }

  part("checks", {
    open: forget,
    drawn: (screen) => {
      if (!hasChecks(screen)) return;
      look(screen);
      say(screen);
    },
    close: forget,
  });
})();
