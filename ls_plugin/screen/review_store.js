/* The form of a review as Label Studio's store has it: read and written by the fields' names. What is written here is what
   the tags would have written, so that the result is Label Studio's own. */
(() => {
  "use strict";

  const review = window.quorumReview;
  const RESERVED = new Set(["flags", "flag_reason", "decision", "decision_reason", "decision_note", "decision_to", "review_of"]);
  const REGIONS = { labels: "labels", rectanglelabels: "rectanglelabels", timeserieslabels: "timeserieslabels" };

  function kindOf(tag, target) {
    if (tag.type === "choices") return tag.choice === "multiple" ? "choices" : "choice";
    if (tag.type === "rating" || tag.type === "number") return tag.type;
    if (tag.type === "textarea") return "text";
    if (tag.type === "labels") return target?.type === "text" ? "spans" : "segments";
    if (tag.type === "rectanglelabels") return "boxes";
    return tag.type === "timeserieslabels" ? "segments" : null;
  }

  function labelsOf(tag, kind) {
    if (kind === "rating") return scale(tag);
    return [...(tag.children || [])]
      .filter((child) => child.type === "choice" || child.type === "label")
      .map((child) => ({
        value: child.alias || child._value || child.value,
        title: child._value || child.value,
        hint: child.hint || "",
        color: child.background || "",
        key: child.hotkey || "",
      }));
  }

  function scale(tag) {
    return window.quorum.pointWords(tag, Number(tag.maxrating) || 5).map((words, place) => (
      { value: place + 1, title: `${place + 1} ${words}`.trim(), short: words, hint: "", color: "", key: "" }));
  }

  function fieldOf(screen, name) {
    const tag = screen.field(name);
    const target = tag?.toname ? screen.field(String(tag.toname).split(",")[0]) : null;
    const kind = tag && tag.toname ? kindOf(tag, target) : null;
    if (!kind) return null;
    const title = name.replace(/_/g, " ");
    return {
      name,
      kind,
      title: title[0].toUpperCase() + title.slice(1),
      labels: labelsOf(tag, kind),
      to: String(tag.toname).split(",")[0],
      min: tag.min ?? null,
      max: tag.max ?? null,
    };
  }

  /* The fields of the interface in its order; the controls of the decision and of flags are none. */
  function fields(screen) {
    return [...screen.annotation.names.keys()]
      .filter((name) => !RESERVED.has(name))
      .map((name) => fieldOf(screen, name))
      .filter(Boolean);
  }

  /* The texts that people read, in the order of the interface. */
  function texts(screen) {
    return [...screen.annotation.names.values()]
      .filter((tag) => tag.type === "text" && /^\$\w+$/.test(tag.value || ""))
      .map((tag) => ({ name: tag.name, source: String(screen.data[tag.value.slice(1)] ?? "") }));
  }

  /* Whether everything that the row shows is text, which this screen can show itself. */
  function isText(screen) {
    const objects = new Set(fields(screen).map((field) => screen.field(field.to)?.type));
    return [...objects].every((type) => type === "text");
  }

  function regions(screen, name) {
    return [...screen.annotation.areas.values()].filter((area) => !area.classification
      && [...area.results].some((result) => result.from_name?.name === name));
  }

  function readRegion(area, field, label) {
    if (field.kind === "spans") return { start: area.startOffset, end: area.endOffset, label };
    if (field.kind === "segments") return { start: area.start, end: area.end, label };
    const value = area.serialize()?.value || {};
    return { x: value.x, y: value.y, width: value.width, height: value.height, label };
  }

  function read(screen, field) {
    const tag = screen.field(field.name);
    if (field.kind === "choice") return tag.selectedValues()[0] ?? null;
    if (field.kind === "choices") return [...tag.selectedValues()];
    if (field.kind === "rating") return tag.rating || null;
    if (field.kind === "number") return tag.number ?? null;
    if (field.kind === "text") return [...tag.selectedValues(), ...(tag._value ? [tag._value] : [])].join("\n") || null;
    return regions(screen, field.name).flatMap((area) => [...area.results]
      .filter((result) => result.from_name?.name === field.name)
      .flatMap((result) => [...(result.mainValue || [])].map((label) => readRegion(area, field, label))));
  }

  function readAll(screen, all) {
    return Object.fromEntries(all.map((field) => [field.name, read(screen, field)]));
  }

  function write(screen, field, value) {
    const tag = screen.field(field.name);
    if (field.kind === "choice" || field.kind === "choices") writeChoices(tag, field.kind === "choice" ? [value] : value);
    else if (field.kind === "rating") tag.setRating(value || 0);
    else if (field.kind === "number") tag.setNumber(value);
    else if (field.kind === "text") writeText(tag, value || "");
    else writeRegions(screen, field, tag, value || []);
  }

  function writeChoices(tag, values) {
    const wanted = values.filter((value) => value !== null && value !== undefined);
    tag.setResult(wanted);
    if (wanted.length || tag.result) tag.updateResult();
  }

  function writeText(tag, text) {
    if ([...tag.selectedValues()].join("\n") !== text) {
      tag.updateFromResult(text ? [text] : null);
      if (text || tag.result) tag.onChange();
    }
    tag.setValue("");
  }

  /* Regions that stay are left alone, with their ids; the others go and come. */
  function writeRegions(screen, field, tag, values) {
    const wanted = new Map(values.map((value) => [review.elementKey(field.kind, value), value]));
    for (const area of regions(screen, field.name)) {
      const labels = [...area.results].flatMap((result) => [...(result.mainValue || [])]);
      const keys = labels.map((label) => review.elementKey(field.kind, readRegion(area, field, label)));
      if (keys.length === 1 && wanted.has(keys[0])) wanted.delete(keys[0]);
      else {
        /* Of a region with two labels the one that is still wanted is drawn anew. */
        screen.annotation.deleteRegion(area);
      }
    }
    for (const value of wanted.values()) {
      if (field.kind === "spans") addSpan(screen, field, tag, value);
      else addRegion(screen, field, tag, value);
    }
    screen.annotation.updateObjects();
  }

  function addSpan(screen, field, tag, span) {
    const object = screen.field(field.to);
    const points = review.codePoints(texts(screen).find((text) => text.name === field.to)?.source || "");
    const place = {
      start: "",
      end: "",
      startOffset: span.start,
      endOffset: span.end,
      isText: true,
      text: points.slice(span.start, span.end).join(""),
    };
    const area = screen.annotation.createResult(place, { [tag.valueType]: [span.label] }, tag, object, true);
    area.updateGlobalOffsets(span.start, span.end);
    area.updateTextOffsets(span.start, span.end);
    area.applyHighlight();
    area.notifyDrawingFinished();
  }

  function addRegion(screen, field, tag, element) {
    const { label, ...place } = element;
    const value = { ...place, ...(field.kind === "boxes" ? { rotation: 0 } : {}), [REGIONS[tag.type]]: [label] };
    const item = { id: "taken", from_name: field.name, to_name: field.to, type: tag.resultType, origin: "manual", value };
    screen.annotation.appendResults([item]);
  }

  /* --- the decision and its words ------------------------------------------------------------------------------------------ */

  function decision(screen) {
    return screen.field("decision").selectedValues()[0] ?? null;
  }

  function decide(screen, word) {
    if (decision(screen) !== word) writeChoices(screen.field("decision"), word ? [word] : []);
  }

  /* The letters of the decisions that a return gives back to their people; none on a form that offers no return. */
  function returnable(screen) {
    return (screen.field("decision_to")?.children || []).map((child) => child.alias || child._value);
  }

  function returned(screen) {
    return [...(screen.field("decision_to")?.selectedValues() || [])];
  }

  function giveBack(screen, letters) {
    const tag = screen.field("decision_to");
    if (tag && returned(screen).join() !== letters.join()) writeChoices(tag, letters);
  }

  function words(screen, name) {
    const tag = screen.field(name);
    return tag ? [...tag.selectedValues(), ...(tag._value ? [tag._value] : [])].join("\n") : "";
  }

  function say(screen, name, text) {
    const tag = screen.field(name);
    if (tag) writeText(tag, text.trim());
  }

  Object.assign(review, { fields, fieldOf, texts, isText, read, readAll, write, decision, decide, returnable, returned, giveBack, words, say });
})();
