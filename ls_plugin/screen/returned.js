/* A row that QA gave back: what QA wrote, in the line above the buttons, for as long as the row is open. */
(() => {
  "use strict";

  const TASK = /^\/api\/(projects\/\d+\/next|tasks\/\d+|dm\/actions)\/?$/;
  const { shared } = window.quorum;
  const reasons = new Map();

  window.quorum.onAnswer(async ({ path }, answer) => {
    if (!answer?.ok || !TASK.test(path)) return;
    const task = await answer.clone().json().catch(() => null);
    if (!task || typeof task.id !== "number" || !task.data) return;
    if (task.returned) reasons.set(task.id, String(task.returned.reason));
    else reasons.delete(task.id);
    window.quorum.drawSoon();
  });

  let said = null;

  window.quorum.part("returned", {
    drawn(screen) {
      const reason = screen?.stage === "pass" ? reasons.get(screen.task) : undefined;
      const key = reason === undefined ? null : screen.task;
      if (key === said) return;
      said = key;
      if (key === null) shared.line.unsay("returned");
      else shared.line.say("returned", `QA returned this row: \u201c${reason}\u201d Change what you said, or send it again as it is.`);
    },
  });
})();
