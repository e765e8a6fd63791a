/* The rules between fields that the guidelines state, told while the form is filled in. The server reads what stands in
   the form by the same rules with which it takes an answer, so that they have one meaning; here is only where it is said. */
(() => {
  "use strict";

  const PAUSE_MS = 300;
  const { element, part, drawSoon } = window.quorum;
  let asked = "";
  let violated = [];
  let waiting = 0;

  const hasChecks = (screen) => /\schecks=/.test(screen?.store.config || "");

  /* What stands in the form, as it would be sent; without drafts, ids and times, which change by themselves. */
  function content(screen) {
    const result = screen.annotation.serializeAnnotation();
    return JSON.stringify(result.map(({ from_name, to_name, type, value }) => ({ from_name, to_name, type, value })));
  }

  async function ask(screen, sent) {
    const project = screen.store.project?.id;
    const answer = await fetch(`/quorum/api/checks?project=${project}`, {
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

  function look(screen) {
    const sent = content(screen);
    if (sent === asked) return;
    asked = sent;
    clearTimeout(waiting);
    waiting = setTimeout(() => ask(screen, sent), PAUSE_MS);
  }

  /* One part at the end of the form, which a screen reader reads out when it changes. */
  function say(screen) {
    const form = screen.root.querySelector(".q-form") || screen.root;
    let told = screen.root.querySelector("#quorum-checks");
    if (!told) {
      told = element("div", { id: "quorum-checks", role: "status" });
      form.append(told);
    }
    const text = JSON.stringify(violated);
    if (told.dataset.told === text) return;
    told.dataset.told = text;
    told.replaceChildren(...violated.map((check) => element("p", { class: `quorum-${check.level}` },
      check.level === "block" ? `Cannot be submitted: ${check.say}` : check.say)));
  }

  function forget() {
    clearTimeout(waiting);
    asked = "";
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
