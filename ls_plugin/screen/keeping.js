/* An answer is never lost: it is a draft on the server within a second, and until then it is kept on this machine. What
   cannot be sent now (no network, signed out, a server that does not answer) waits, and is sent as soon as it can be.

   Kept are choices, ratings, places and labels of spans and what the person typed, by person, project and task; never a
   text of the row. It is brought back only into the very form in which it was given. */
(() => {
  "use strict";

  const PREFIX = "quorum.kept.";
  const PERSON = "quorum.person";
  const DAYS = 7;
  const MOST = 20;
  const LARGEST = 200000;
  const LOOK_EVERY = 300;
  const TRY_EVERY = 5000;
  const BETWEEN_DRAFTS = 600;
  const DRAFT = /^\/api\/(?:tasks\/(\d+)\/(?:annotations\/\d+\/)?drafts|drafts\/\d+)\/?$/;
  const ANSWER = /^\/api\/(?:tasks\/(\d+)\/annotations|annotations\/\d+)\/?$/;
  const { send: fetchOfTheBrowser, shared } = window.quorum;
  const { line } = shared;
  const project = /^\/projects\/(\d+)(\/|$)/.exec(location.pathname)?.[1];
  const tab = Math.random().toString(36).slice(2);
  const others = "BroadcastChannel" in window ? new BroadcastChannel("quorum") : null;
  const given = new Map();
  let person = null;
  let work = null;
  let opened = null;
  let heard = Promise.resolve();
  let answersOnTheirWay = 0;
  let gone = false;
  let saving = Promise.resolve();
  let warned = false;

  /* --- what is kept on this machine ------------------------------------------------------------------------------- */

  function read(name) {
    try {
      return JSON.parse(localStorage.getItem(name));
    } catch {
      return null;
    }
  }

  function write(name, value) {
    try {
      const text = JSON.stringify(value);
      if (text.length > LARGEST) throw new Error("too long");
      localStorage.setItem(name, text);
    } catch (fault) {
      if (warned) return;
      warned = true;
      line.say("notice", "This browser keeps no answers, so this one is only where the server has it as a draft.");
      console.warn("Quorum: an answer is not kept:", fault.name);
    }
  }

  function keptNames() {
    return Object.keys(localStorage).filter((name) => name.startsWith(PREFIX));
  }

  /* Only this person's, only the newest, and none for longer than some days. */
  function tidy() {
    const oldest = Date.now() - DAYS * 86400000;
    const mine = [];
    for (const name of keptNames()) {
      const entry = read(name);
      if (!name.startsWith(`${PREFIX}${person}.`) || !entry || !(entry.at > oldest)) localStorage.removeItem(name);
      else mine.push({ name, at: entry.at });
    }
    mine.sort((one, other) => other.at - one.at);
    for (const { name } of mine.slice(MOST)) localStorage.removeItem(name);
  }

  function forget() {
    for (const name of keptNames()) localStorage.removeItem(name);
  }

  /* --- results ---------------------------------------------------------------------------------------------------- */

  /* A result without the words of the row: where they stand says enough. */
  function light(result) {
    return result.map((region) => {
      if (!region.value || !("start" in region.value)) return region;
      const { text, ...value } = region.value;
      return { ...region, value };
    });
  }

  /* The same with the words, which Label Studio stores with each span. */
  function whole(result, screen) {
    return result.map((region) => {
      if (!region.value || !("start" in region.value)) return region;
      const points = [...(sourceOf(region.to_name, screen) ?? "")];
      const text = points.slice(region.value.start, region.value.end).join("");
      return { ...region, value: { ...region.value, text } };
    });
  }

  function sourceOf(name, screen) {
    const tag = screen.field(name);
    return screen.data[String(tag?.value || "").replace(/^\$/, "")] ?? tag?._value;
  }

  /* JSON with sorted keys: the same text for the same value. */
  function canonical(value) {
    return JSON.stringify(value, (_, inner) => (inner && typeof inner === "object" && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([one], [other]) => (one < other ? -1 : 1)))
      : inner));
  }

  function digest(value) {
    const text = canonical(value) ?? "";
    let [high, low] = [0xdeadbeef, 0x41c6ce57];
    for (let at = 0; at < text.length; at += 1) {
      const code = text.charCodeAt(at);
      high = Math.imul(high ^ code, 2654435761);
      low = Math.imul(low ^ code, 1597334677);
    }
    return `${(high >>> 0).toString(36)}.${(low >>> 0).toString(36)}.${text.length}`;
  }

  function sameResult(one, other) {
    return canonical(light(one)) === canonical(light(other));
  }

  /* What was typed into boxes and is in no result yet. */
  function boxesOf(screen) {
    const boxes = {};
    screen.annotation.names.forEach((tag, name) => {
      if (tag.type === "textarea" && typeof tag._value === "string" && tag._value) boxes[name] = tag._value;
    });
    return boxes;
  }

  /* --- the form that is open -------------------------------------------------------------------------------------- */

  /* What the server gave with a task to open its form with. */
  async function hearTask(answer) {
    const task = await answer.json().catch(() => null);
    if (!Array.isArray(task?.predictions)) return;
    const filled = task.predictions.map(({ model_version, result }) => [model_version, result]);
    given.set(Number(task.id), [task.data, filled]);
  }

  /* What the form rests on: the row's data with what reviewers are shown of it, its pre-annotation, the interface. */
  function stateOf(screen) {
    return digest([given.get(Number(screen.task)), screen.store.config]);
  }

  function stampOf(screen) {
    const { history } = screen.annotation;
    return `${history.history.length > 1 ? Number(history.lastAdditionTime) : 0}/${history.undoIdx}`;
  }

  async function open(screen) {
    /* The form goes and comes while its answer is on its way. */
    if (work && work.screen.annotation === screen.annotation) {
      work.screen = screen;
      screen.root.inert = work.passive;
      return;
    }
    if (work) line.unsay("notice"); // of the row before
    work = null;
    wake();
    opened = screen;
    await heard;
    if (opened !== screen || !given.has(Number(screen.task))) return;
    if (!person || !project || typeof screen.annotation.addVersions !== "function") return;
    const { annotation } = screen;
    const own = String(annotation.pk || "").match(/^\d+$/) ? annotation.pk : "new";
    const now = {
      screen,
      name: `${PREFIX}${person}.${project}.${screen.task}.${own}`,
      state: stateOf(screen),
      stamp: stampOf(screen),
      boxes: canonical(boxesOf(screen)),
      base: annotation.draftId > 0 && annotation.versions.draft ? digest(light(annotation.versions.draft)) : null,
      draft: annotation.draftId > 0 ? annotation.draftId : null,
      drafted: true,
      passive: false,
    };
    work = now;
    bringBack(now);
    others?.postMessage({ says: "open", tab, name: now.name });
  }

  function close() {
    opened = null;
  }

  function isOpen(now) {
    return !!now && window.Htx?.annotationStore?.selected === now.screen.annotation && !!project
      && location.pathname.startsWith(`/projects/${project}/`);
  }

  /* An answer that was kept for this form comes back into it, unless the server has it or has another one. */
  function bringBack(now) {
    const kept = read(now.name);
    if (!kept) return;
    const { annotation } = now.screen;
    const at = new Date(kept.at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    if (kept.state !== now.state) {
      localStorage.removeItem(now.name);
      line.say("notice", `The row or its form has changed since ${at}, so what you entered here then is dropped: `
        + `${named(kept)}. Answer it as it is now.`);
      return;
    }
    const onServer = now.base !== null;
    const isSame = onServer && sameResult(kept.result, annotation.versions.draft);
    if (isSame && !Object.keys(kept.boxes).length) {
      localStorage.removeItem(now.name);
      return;
    }
    const isLater = !onServer ? kept.base === null : isSame || now.base === kept.base || now.base === kept.sent;
    if (isLater) {
      put(now, kept);
      line.say("notice", `What you entered at ${at} is back: it had not reached the server.`);
      return;
    }
    line.say("notice", `Another window has changed this row since ${at}; what you entered here then is still kept.`, {
      text: "Use what I entered here",
      act: () => {
        line.unsay("notice");
        if (work === now) put(now, kept);
      },
    });
  }

  /* The fields that an answer says something about. */
  function named(kept) {
    const names = [...kept.result.map((region) => region.from_name), ...Object.keys(kept.boxes)];
    return [...new Set(names.filter(Boolean))].join(", ") || "nothing";
  }

  function put(now, kept) {
    const { annotation } = now.screen;
    annotation.pauseAutosave();
    annotation.deleteAllRegions({ deleteReadOnly: true });
    annotation.deserializeResults(whole(kept.result, now.screen));
    annotation.updateObjects();
    for (const [name, text] of Object.entries(kept.boxes)) now.screen.field(name)?.setValue?.(text);
    annotation.startAutosave();
    now.stamp = stampOf(now.screen);
    now.boxes = canonical(kept.boxes);
    now.drafted = false;
  }

  /* Several times a second: what has changed is kept here at once, and sent as a draft when none is on its way. */
  function look() {
    const now = work;
    if (!isOpen(now) || now.passive || now.done || gone) return;
    const { annotation } = now.screen;
    if (!annotation.editable || now.sending) return;
    annotation.autosave?.cancel(); // Label Studio's own comes after five seconds
    const [stamp, boxes] = [stampOf(now.screen), canonical(boxesOf(now.screen))];
    if (stamp !== now.stamp || boxes !== now.boxes) {
      now.drafted = now.drafted && stamp === now.stamp;
      Object.assign(now, { stamp, boxes });
      keep(now);
    }
    const isTooSoon = Date.now() < (now.draftedAt ?? 0) + BETWEEN_DRAFTS;
    if (!now.drafted && !annotation.isDraftSaving && !isTooSoon) saveDraft(now);
  }

  /* Label Studio's own way makes none after an answer that was refused. */
  async function saveDraft(now) {
    const { annotation, store } = now.screen;
    now.drafted = true;
    now.draftedAt = Date.now();
    annotation.addVersions({ draft: annotation.serializeAnnotation({ fast: true }) });
    annotation.setDraftSaving(true);
    await store.submitDraft(annotation);
    if (work === now) annotation.onDraftSaved();
  }

  function keep(now, more = {}) {
    const result = light(now.screen.annotation.serializeAnnotation({ fast: true }) ?? []);
    const { state, base, sent = null } = now;
    write(now.name, { at: Date.now(), state, base, sent, result, boxes: boxesOf(now.screen), ...more });
  }

  /* --- requests --------------------------------------------------------------------------------------------------- */

  /* Saves go one after the other, so that a draft neither overtakes the answer nor is left behind by it. */
  function carry(request, send) {
    if (!/^\/api\//.test(request.path)) return send();
    const isWrite = request.method === "POST" || request.method === "PATCH";
    if (isWrite && DRAFT.test(request.path)) return (saving = afterwards(saving, () => carryDraft(request, send)));
    if (isWrite && ANSWER.test(request.path)) {
      answersOnTheirWay += 1;
      dropHeldDrafts();
      return (saving = afterwards(saving, () => carryAnswer(request, send)));
    }
    return insist(request, send);
  }

  function afterwards(before, act) {
    return before.then(act, act);
  }

  async function carryDraft(request, send) {
    const now = work;
    const body = parsed(request.body);
    if (!now || !Array.isArray(body?.result)) return insist(request, send);
    const stamp = now.stamp;
    now.sent = digest(light(body.result));
    const answer = await insist(request, send);
    if (!answer.ok) return answer;
    now.base = now.sent;
    now.draft = (await answer.clone().json().catch(() => null))?.id ?? now.draft;
    if (now.stamp === stamp && now.boxes === "{}" && !now.sending) localStorage.removeItem(now.name);
    return answer;
  }

  async function carryAnswer(request, send) {
    const now = work;
    const body = parsed(request.body);
    answersOnTheirWay -= 1;
    if (!now || !body) return insist(request, send);
    /* A draft that was made while this answer was on its way to the server goes with it. */
    const changed = !body.draft_id && now.draft && /tasks/.test(request.path) ? { ...body, draft_id: now.draft } : body;
    now.sending = true;
    const result = light(body.result ?? []);
    write(now.name, {
      at: Date.now(), state: now.state, base: now.base, sent: now.sent ?? null, result, boxes: {}, sending: true,
    });
    try {
      const answer = await insist(request, () => send({ body: JSON.stringify(changed) }), changed);
      if (answer.ok) settled(now, request);
      else goOn(now, answer);
      return answer;
    } finally {
      now.sending = false;
    }
  }

  /* The server has it: what the form shows until the next one comes is no change any more. */
  function settled(now, request) {
    localStorage.removeItem(now.name);
    now.done = request.method === "POST";
    if (!isOpen(now)) return;
    Object.assign(now, { stamp: stampOf(now.screen), boxes: canonical(boxesOf(now.screen)), drafted: true });
  }

  /* Label Studio makes no drafts after an answer that was refused, and has forgotten the one that is there. */
  function goOn(now, answer) {
    const { annotation } = now.screen;
    if (work !== now || !isOpen(now)) return;
    if (now.draft) annotation.setDraftId(now.draft);
    if (answer.status !== 409) keep(now);
  }

  function parsed(body) {
    try {
      return typeof body === "string" ? JSON.parse(body) : null;
    } catch {
      return null;
    }
  }

  /* Send until there is an answer from which something follows; an answer that may have arrived is looked for first. */
  async function insist(request, send, answerSent = null) {
    for (let tries = 0; ; tries += 1) {
      if (gone) await over({ kind: gone }, request); // it would be sent in somebody else's name
      let fault = null;
      const answer = await send().catch((failure) => {
        fault = failure;
        return null;
      });
      if (fault?.name === "AbortError") throw fault;
      const trouble = await troubleOf(answer, fault);
      if (!trouble) {
        if (fault) throw fault;
        return (tries && answerSent && answer.status === 409 && (await storedAlready(request, answerSent))) || answer;
      }
      const instead = await over(trouble, request);
      if (instead) return instead;
    }
  }

  /* What keeps a request from being answered for now; null where the answer is one. */
  async function troubleOf(answer, fault) {
    if (gone) return { kind: gone };
    if (fault) return fault instanceof TypeError ? { kind: "offline" } : null;
    const signedOut = answer.status === 401 || (answer.redirected && /\/user\/login/.test(answer.url));
    if (signedOut) return isOpen(work) ? { kind: "signed_out" } : null;
    if (answer.status < 500) return null;
    const refusal = await line.refusalIn(answer);
    if (!refusal && !isOpen(work)) return null;
    return { kind: "away", sentence: refusal?.detail, byHand: answer.status === 500 };
  }

  /* The answer was refused because the person has answered: with this very answer, if its first try arrived. */
  async function storedAlready(request, body) {
    const task = ANSWER.exec(request.path)?.[1];
    const stored = task ? await ownAnswers(task) : [];
    const same = stored.find((other) => sameResult(other.result ?? [], body.result ?? [])
      && Boolean(other.was_cancelled) === Boolean(body.was_cancelled));
    return same ? answerOf(201, same) : null;
  }

  async function ownAnswers(task) {
    const address = `/api/tasks/${task}/annotations`;
    const answer = await fetchOfTheBrowser(address, { headers: { Accept: "application/json" } }).catch(() => null);
    return answer?.ok ? answer.json() : [];
  }

  /* --- waiting ---------------------------------------------------------------------------------------------------- */

  const waiting = [];
  let trouble = null;
  let timer = null;

  /* Wait until another try makes sense; an answer if meanwhile none is needed any more. */
  function over(found, request) {
    if (answersOnTheirWay && DRAFT.test(request.path)) return Promise.resolve(nothing());
    trouble = found;
    sayTrouble();
    clearTimeout(timer);
    if (!found.byHand && !gone) timer = setTimeout(tryAgain, TRY_EVERY);
    return new Promise((go) => waiting.push({ go, request }));
  }

  function sayTrouble() {
    const kept = isOpen(work) ? "Your answer is kept on this machine" : "Nothing is lost";
    const again = { text: "Try again", act: tryAgain };
    const words = {
      offline: [`The server cannot be reached. ${kept}, and all is sent as soon as there is a connection.`, again],
      signed_out: [`You were signed out. ${kept}.`, { text: "Sign in in a new window and go on", act: signIn }],
      away: [`${trouble.sentence ?? "The server has a fault."} ${kept}.`, again],
      left: ["You signed out in another window, so this answer is neither sent nor kept.",
        { text: "Sign in", act: reload }],
      replaced: ["Somebody else has signed in in this browser, so this answer is neither sent nor kept.",
        { text: "Load the page again", act: reload }],
    };
    line.say("held", ...words[trouble.kind]);
  }

  function reload() {
    location.assign("/quorum/mine/");
  }

  function signIn() {
    window.open("/user/login/?next=/quorum/signed-in/", "_blank");
  }

  async function tryAgain() {
    clearTimeout(timer);
    if (!trouble || gone) return;
    if (trouble.kind === "signed_out" && !(await isSignedIn())) {
      clearTimeout(timer);
      timer = setTimeout(tryAgain, TRY_EVERY);
      return;
    }
    trouble = null;
    line.unsay("held");
    for (const { go } of waiting.splice(0)) go(null);
  }

  /* Whether this person is signed in (again). Somebody else's session must not send this answer. */
  async function isSignedIn() {
    const answer = await fetchOfTheBrowser("/api/current-user/whoami").catch(() => null);
    if (!answer?.ok) return false;
    const who = await answer.json().catch(() => ({}));
    if (who.id && who.id !== person) leave("replaced");
    return who.id === person;
  }

  /* A draft that still waits when its answer is sent is in the answer. */
  function dropHeldDrafts() {
    for (let at = waiting.length - 1; at >= 0; at -= 1) {
      if (!DRAFT.test(waiting[at].request.path)) continue;
      const [{ go }] = waiting.splice(at, 1);
      go(nothing());
    }
  }

  function nothing() {
    return answerOf(200, {});
  }

  function answerOf(status, body) {
    return new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } });
  }

  /* --- who is at this browser ------------------------------------------------------------------------------------- */

  function leave(why) {
    if (gone) return;
    gone = why;
    forget();
    trouble = { kind: why };
    if (isOpen(work)) sayTrouble();
  }

  function watchPeople() {
    localStorage.setItem(PERSON, String(person));
    window.addEventListener("storage", (event) => {
      if (event.key !== PERSON || event.newValue === String(person)) return;
      leave(event.newValue ? "replaced" : "left");
    });
    document.addEventListener("click", (event) => {
      if (!event.target.closest?.('a[href$="/logout"], a[href$="/logout/"]')) return;
      gone = "left";
      forget();
      localStorage.setItem(PERSON, "");
    }, true);
  }

  /* --- the same row in two windows -------------------------------------------------------------------------------- */

  function hearOthers({ data }) {
    const now = work;
    if (!now || data.name !== now.name || data.tab === tab) return;
    if (data.says === "open" && !now.passive) {
      look();
      others.postMessage({ says: "here", tab, name: now.name, to: data.tab });
    }
    if (data.says === "here" && data.to === tab) rest(now, "This row is open in another window, where you began it.");
    if (data.says === "take" && !now.passive) {
      look();
      saving.finally(() => {
        rest(now, "You go on with this row in another window.");
        others.postMessage({ says: "yours", tab, name: now.name, to: data.tab });
      });
    }
    if (data.says === "yours" && data.to === tab) location.reload();
  }

  /* One window works on a row: the other one shows it, and takes it over on a word. */
  function rest(now, sentence) {
    now.passive = true;
    now.screen.annotation.pauseAutosave();
    now.screen.root.inert = true;
    const bar = document.querySelector(".lsf-bottombar");
    if (bar) bar.inert = true;
    line.say("held", sentence, {
      text: "Go on here",
      act: () => {
        others.postMessage({ says: "take", tab, name: now.name });
        setTimeout(() => location.reload(), 1500); // the other window may be closed by now
      },
    });
  }

  function wake() {
    const bar = document.querySelector(".lsf-bottombar");
    if (bar) bar.inert = !!work?.passive;
    if (!trouble && !work?.passive) line.unsay("held");
  }

  /* Answers that were on their way when the page was closed: stored, or given back with their rows. */
  async function settle() {
    for (const name of keptNames()) {
      const kept = read(name);
      const task = name.split(".")[4];
      if (!kept?.sending || !task) continue;
      const stored = await ownAnswers(task);
      if (work?.name === name || !stored.length) continue;
      const isSame = stored.some((answer) => sameResult(answer.result ?? [], kept.result));
      localStorage.removeItem(name);
      if (isSame) continue;
      const fields = named(kept);
      line.say("notice", `Another answer of yours to a row is stored, so what you entered here is dropped: ${fields}.`);
    }
  }

  /* Who is signed in stands in the page, below this script. */
  function begin() {
    person = window.APP_SETTINGS?.user?.id ?? null;
    if (!person) return;
    tidy();
    watchPeople();
    if (project) settle();
  }

  window.quorum.onAnswer(({ path }, answer) => {
    const isTask = /^\/api\/(dm\/actions|projects\/\d+\/next|tasks\/\d+)\/?$/.test(path);
    if (answer?.ok && isTask) heard = Promise.all([heard, hearTask(answer.clone())]);
  });
  window.quorum.through(carry);
  window.quorum.part("keeping", { open, close });
  if (others) others.onmessage = hearOthers;
  document.addEventListener("DOMContentLoaded", begin);
  window.addEventListener("pagehide", look);
  window.addEventListener("online", tryAgain);
  /* Whoever signed in meanwhile has done so in another window of this browser. */
  window.addEventListener("focus", () => {
    if (trouble?.kind === "signed_out") tryAgain();
    else if (person && !trouble) isSignedIn();
  });
  setInterval(look, LOOK_EVERY);
})();
