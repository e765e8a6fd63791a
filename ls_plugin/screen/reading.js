/* Texts are shown as their Markdown means them, beside Label Studio's own view of the source, which stays in the page and
   keeps the regions: words that are selected here are selected there, in code points of the source, and each region of
   its store is drawn here. Nothing of a text is ever run, loaded or linked: it becomes elements of a few kinds and texts.
   Until files/markdown.js is there, and where it fails, Label Studio's view is the one that is seen. */
(() => {
  "use strict";

  const { element, part, key, drawSoon } = window.quorum;
  const BUNDLE = "/quorum/screen/markdown.js";
  const CHOICE = "quorum-texts";
  const ACTIVE = "__active";
  const HIDDEN = "__hidden";

  /* --- the view of one source ----------------------------------------------------------------------------------------- */

  /* What is seen of a source: `text`, a unit for each UTF-16 unit that is seen and one for each whole (a formula, an
     image), and `from` / `to`, the places in the source that make a unit. */
  class View {
    constructor(box, source) {
      this.box = box;
      this.source = source;
      this.text = "";
      this.from = [];
      this.to = [];
      this.pieces = [];
      this.drawn = "";
      this.points = codePoints(source);
      const tree = window.quorumMarkdown.tree(source);
      this.plain = tree.plain;
      box.classList.add("q-reading");
      box.replaceChildren();
      if (this.plain) this.write(box);
      else for (const child of tree.children) this.draw(child, box);
      for (const wide of box.querySelectorAll("pre, .q-table")) widths.observe(wide);
    }

    /* A text without mark-up, as it is written. */
    write(box) {
      const line = element("p");
      box.append(line);
      let at = 0;
      for (const part of this.source.split(/(\r\n?)/)) {
        const ending = part.startsWith("\r");
        const places = [...(ending ? "\n" : part).split("").keys()].map((unit) => at + unit);
        this.words(ending ? "\n" : part, places, places.map((place) => place + (ending ? part.length : 1)), line);
        at += part.length;
      }
    }

    /* --- drawing the tree --- */

    draw(node, box) {
      const into = (target, attributes = {}) => {
        const made = element(target, attributes);
        box.append(made);
        for (const child of node.children || []) this.draw(child, made);
        return made;
      };
      const kinds = {
        text: () => this.words(node.text, node.from, node.to, box),
        paragraph: () => into("p"),
        heading: () => into("div", { role: "heading", "aria-level": node.level, class: `q-h q-h${node.level}` }),
        quote: () => into("blockquote"),
        list: () => into(node.ordered ? "ol" : "ul", node.ordered ? { start: node.first } : {}),
        item: () => this.item(node, box),
        code: () => this.code(node, box),
        html: () => into("div", { class: "q-html" }),
        definition: () => into("div", { class: "q-html" }),
        rule: () => into("hr"),
        table: () => this.table(node, box),
        emphasis: () => into("em"),
        strong: () => into("strong"),
        deleted: () => into("del"),
        inlineCode: () => into("code"),
        link: () => into("span", { class: "q-link", title: node.address }),
        formula: () => this.formula(node, box),
        image: () => this.image(node, box),
      };
      kinds[node.type]();
    }

    /* Words of the source: one text in the page for all that have one look. */
    words(text, from, to, box) {
      if (!text) return;
      const words = document.createTextNode(text);
      box.append(words);
      this.pieces.push({ first: this.text.length, length: text.length, text, nodes: [words], words: [[words, 0]], look: "" });
      this.text += text;
      this.from.push(...from);
      this.to.push(...to);
    }

    whole(content, node, box) {
      box.append(content);
      this.pieces.push({ first: this.text.length, length: 1, content, nodes: [content], look: "" });
      this.text += "\ufffc";
      this.from.push(node.start);
      this.to.push(node.end);
    }

    item(node, box) {
      const made = element("li");
      if (node.done !== undefined) {
        made.classList.add("q-task");
        made.append(element("span", { class: "q-check", role: "img", "aria-label": node.done ? "done" : "not done" }));
        made.firstChild.dataset.done = node.done;
      }
      box.append(made);
      for (const child of node.children) this.draw(child, made);
    }

    code(node, box) {
      const code = element("code");
      box.append(element("pre", { "data-language": node.language || null }, code));
      for (const leaf of node.children) {
        const colored = window.quorumMarkdown.highlight(leaf.text, node.language) || [[leaf.text, []]];
        let at = 0;
        for (const [text, classes] of colored) {
          const target = classes.length ? element("span", { class: classes.join(" ") }) : code;
          if (target !== code) code.append(target);
          this.words(text, leaf.from.slice(at, at + text.length), leaf.to.slice(at, at + text.length), target);
          at += text.length;
        }
      }
    }

    table(node, box) {
      const head = element("thead");
      const body = element("tbody");
      box.append(element("div", { class: "q-table" }, element("table", {}, head, body)));
      for (const row of node.children) {
        const line = element("tr");
        (row.children.some((cell) => cell.heading) ? head : body).append(line);
        row.children.forEach((cell, column) => {
          const made = element(cell.heading ? "th" : "td");
          const side = node.align[column];
          if (side && side !== "none") made.style.textAlign = side;
          line.append(made);
          for (const child of cell.children) this.draw(child, made);
        });
      }
    }

    formula(node, box) {
      const content = element("span", { class: node.display ? "q-formula q-display" : "q-formula", title: node.text });
      if (!window.quorumMarkdown.formula(node.text, content, node.display)) {
        content.append(element("code", {}, this.source.slice(node.start, node.end)));
      }
      this.whole(content, node, box);
    }

    /* An image is told and never fetched. */
    image(node, box) {
      const content = element("span", { class: "q-image" }, element("span", {}, node.text || "image"));
      if (node.address) content.append(" ", element("code", {}, node.address));
      this.whole(content, node, box);
    }

    /* --- the map --- */

    /* The units that a range of the page selects, as [first, end), without line breaks at its ends; null where it selects
       none. */
    unitsOf(range) {
      let [first, end] = this.unitsIn(range);
      while (first < end && this.text[first] === "\n") first += 1;
      while (first < end && this.text[end - 1] === "\n") end -= 1;
      return first < end ? [first, end] : null;
    }

    unitsIn(range) {
      let [first, end] = [Infinity, -1];
      for (const piece of this.pieces) {
        for (const [at, length] of partsIn(piece, range)) {
          first = Math.min(first, piece.first + at);
          end = Math.max(end, piece.first + at + length);
        }
      }
      return [first, end];
    }

    /* The range of the page that holds units. */
    rangeOf(first, end) {
      const range = document.createRange();
      for (const piece of this.pieces) {
        if (piece.content) {
          if (piece.first === first) range.setStartBefore(piece.content);
          if (piece.first === end - 1) range.setEndAfter(piece.content);
          continue;
        }
        for (const [node, at] of piece.words) {
          const [from, to] = [piece.first + at, piece.first + at + node.length];
          if (first >= from && first < to) range.setStart(node, first - from);
          if (end > from && end <= to) range.setEnd(node, end - from);
        }
      }
      return range;
    }

    /* How many units stand before a point of the screen; null outside of the text. */
    unitAt(x, y) {
      const caret = document.caretRangeFromPoint(x, y);
      if (!caret || !this.box.contains(caret.startContainer)) return null;
      const before = document.createRange();
      before.setStart(this.box, 0);
      before.setEnd(caret.startContainer, caret.startOffset);
      return Math.max(0, this.unitsIn(before)[1]);
    }

    /* The source of units, as [start, end) in code points: from the first place of the first to the last of the last. */
    sourceOf(first, end) {
      const isLow = (at) => /[\udc00-\udfff]/.test(this.source[at] || "") && /[\ud800-\udbff]/.test(this.source[at - 1] || "");
      const start = this.from[first];
      const stop = this.to[end - 1];
      return [this.points.count(isLow(start) ? start - 1 : start), this.points.count(isLow(stop) ? stop + 1 : stop)];
    }

    /* The units that a span of the source has made, in whole or in part, as [first, end); empty where none is seen. */
    unitsAt(start, end) {
      const [from, to] = [this.points.unit(start), this.points.unit(end)];
      const first = search(this.to, (place) => place > from);
      return [first, Math.max(first, search(this.from, (place) => place >= to))];
    }

    /* --- spans drawn on it --- */

    /* Draw spans {id, start, end, label, classes, color, title, handles} (in code points), in place of those drawn before. */
    mark(spans) {
      const drawn = JSON.stringify(spans);
      if (drawn === this.drawn) return;
      this.drawn = drawn;
      const places = spans.map((span) => ({ span, units: this.unitsAt(span.start, span.end) }));
      /* The longest is the outermost, so that each can be clicked. */
      places.sort((a, b) => (b.units[1] - b.units[0]) - (a.units[1] - a.units[0]));
      const ends = new Map();
      for (const piece of this.pieces) this.markPiece(piece, places, ends);
      for (const [span, { first, last }] of ends) {
        last.dataset.label = span.label || "";
        if (!span.handles) continue;
        first.prepend(element("span", { class: "q-handle", "data-side": "start" }));
        last.append(element("span", { class: "q-handle", "data-side": "end" }));
      }
    }

    markPiece(piece, places, ends) {
      const end = piece.first + piece.length;
      const isLast = end === this.text.length;
      const here = places.filter(({ units: [from, to] }) =>
        (from < end && to > piece.first) || (from === to && from >= piece.first && (from < end || (isLast && from === end))));
      if (!here.length && !piece.look) return;
      piece.look = here.length ? "marked" : "";
      const cuts = [...new Set([piece.first, end, ...here.flatMap(({ units }) => units)])]
        .filter((cut) => cut >= piece.first && cut <= end).sort((a, b) => a - b);
      const nodes = [];
      const place = document.createComment("");
      piece.nodes[0].before(place);
      for (const node of piece.nodes) node.remove();
      if (!piece.content) piece.words = [];
      cuts.forEach((cut, at) => {
        for (const { span, units: [from, to] } of here) {
          if (from === to && from === cut) nodes.push(remember(ends, span, makeMark(span, null)));
        }
        if (at === cuts.length - 1) return;
        let node = piece.content;
        if (!node) {
          node = document.createTextNode(piece.text.slice(cut - piece.first, cuts[at + 1] - piece.first));
          piece.words.push([node, cut - piece.first]);
        }
        for (const { span, units: [from, to] } of [...here].reverse()) {
          if (from <= cut && to > cut) node = remember(ends, span, makeMark(span, node));
        }
        nodes.push(node);
      });
      place.replaceWith(...nodes);
      piece.nodes = nodes;
    }
  }

  /* Who works without a mouse can go into a box that scrolls, and only into such a one. */
  const widths = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
    }
  });

  function makeMark(span, node) {
    const mark = element("span", { class: ["q-mark", ...(span.classes || [])].join(" "), "data-span": span.id }, node);
    if (!node) mark.classList.add("q-unseen");
    if (span.color) mark.style.setProperty("--q-color", span.color);
    if (span.title) mark.title = span.title;
    return mark;
  }

  function remember(ends, span, mark) {
    ends.set(span, { first: ends.get(span)?.first || mark, last: mark });
    return mark;
  }

  /* What of a piece is in a range: [[unit, number of units]] of it. */
  function partsIn(piece, range) {
    if (piece.content) {
      if (!range.intersectsNode(piece.content)) return [];
      const common = document.createRange();
      common.selectNodeContents(piece.content);
      if (common.compareBoundaryPoints(Range.START_TO_START, range) < 0) common.setStart(range.startContainer, range.startOffset);
      if (common.compareBoundaryPoints(Range.END_TO_END, range) > 0) common.setEnd(range.endContainer, range.endOffset);
      return common.toString() ? [[0, 1]] : [];
    }
    return piece.words.filter(([node]) => range.intersectsNode(node)).map(([node, at]) => {
      const from = node === range.startContainer ? range.startOffset : 0;
      const to = node === range.endContainer ? range.endOffset : node.length;
      return [at + from, to - from];
    }).filter(([, length]) => length > 0);
  }

  /* The first index of which a test holds that holds of all after it; the length where it holds of none. */
  function search(places, test) {
    let [low, high] = [0, places.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (test(places[middle])) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /* From UTF-16 units of a text to code points and back. */
  function codePoints(text) {
    if (!/[\ud800-\udbff][\udc00-\udfff]/.test(text)) return { count: (unit) => unit, unit: (count) => count };
    const units = [];
    let unit = 0;
    for (const character of text) {
      units.push(unit);
      unit += character.length;
    }
    units.push(unit);
    return {
      count: (place) => search(units, (start) => start >= place),
      unit: (count) => units[Math.min(count, units.length - 1)],
    };
  }

  /* --- Label Studio's texts ------------------------------------------------------------------------------------------- */

  const readers = new Map();

  /* A text of the form with its view of the source and ours. */
  class Reader {
    constructor(tag, raw) {
      this.tag = tag;
      this.raw = raw;
      this.source = tag._value;
      this.box = element("div", {
        onmousedown: (event) => this.pressed(event),
        onmouseup: (event) => this.released(event),
        onclick: (event) => this.clicked(event),
      });
      this.view = new View(this.box, this.source);
      this.selected = false;
      if (this.view.plain) return;
      raw.after(this.box);
      /* Label Studio draws each change of a region on its own view, by a class or an element. */
      this.watch = new MutationObserver(drawSoon);
      this.watch.observe(raw, { attributes: true, childList: true, subtree: true });
    }

    isOf(tag, raw) {
      return this.tag === tag && this.raw === raw && this.source === tag._value && (this.view.plain || this.box.isConnected);
    }

    draw() {
      if (this.view.plain) return;
      const rendered = isRendered();
      this.raw.parentElement.classList.toggle("q-rendered", rendered);
      this.raw.parentElement.classList.toggle("q-written", !rendered);
      this.raw.ariaHidden = rendered ? "true" : null;
      if (!rendered) return;
      const regions = this.tag.regs.filter((region) => region.globalOffsets);
      this.view.mark(regions.map((region) => ({
        id: region.id,
        start: region.globalOffsets.start,
        end: region.globalOffsets.end,
        label: region.classNames.includes("htx-no-label") ? "" : region.getLabels(),
        classes: [region.className, region.selected && ACTIVE, region.hidden && HIDDEN].filter(Boolean),
        handles: region.selected && !region.hidden && this.tag.canResizeSpans,
      })));
      this.follow(regions.find((region) => region.selected));
    }

    /* Label Studio scrolls to the region that is selected, in its own view. */
    follow(region) {
      if (region && region.id !== this.selected) {
        this.box.querySelector(`[data-span="${CSS.escape(region.id)}"]`)?.scrollIntoView({ block: "nearest" });
      }
      this.selected = region?.id;
    }

    /* An end of the region that is selected is dragged: the other end stays. */
    pressed(event) {
      this.made = false;
      const handle = event.target.closest(".q-handle");
      const region = handle && this.regionOf(handle);
      if (!region || event.button) return;
      event.preventDefault();
      const isStart = handle.dataset.side === "start";
      const [first, end] = this.view.unitsAt(region.globalOffsets.start, region.globalOffsets.end);
      let units = null;
      const move = ({ clientX, clientY }) => {
        const at = this.view.unitAt(clientX, clientY);
        if (at === null) return;
        units = isStart ? [Math.min(at, end - 1), end] : [first, Math.max(at, first + 1)];
        getSelection().removeAllRanges();
        getSelection().addRange(this.view.rangeOf(...units));
      };
      const stop = () => {
        document.removeEventListener("mousemove", move);
        getSelection().removeAllRanges();
        if (units) resize(region, isStart, this.view.sourceOf(...units));
        drawSoon();
      };
      document.addEventListener("mousemove", move);
      document.addEventListener("mouseup", stop, { once: true });
      this.made = true;
    }

    regionOf(node) {
      const mark = node.closest(`.q-mark:not(.${HIDDEN})`);
      return mark && this.tag.regs.find((region) => region.id === mark.dataset.span);
    }

    /* The mouse has been released: Label Studio is told of it on its own view, with the same words selected there. So
       its own rules make the region: the label that is chosen, a double click, a read-only form. */
    released(event) {
      if (this.made) return;
      const selection = getSelection();
      const range = selection.rangeCount && !selection.isCollapsed ? selection.getRangeAt(0) : null;
      const units = range && this.box.contains(range.commonAncestorContainer) ? this.view.unitsOf(range) : null;
      if (range && !units) return;
      if (units) {
        const before = this.tag.regs.length;
        const source = rangeOf(this.raw, ...this.view.sourceOf(...units));
        selection.removeAllRanges();
        selection.addRange(source);
        this.forward(event);
        this.made = this.tag.regs.length !== before;
        if (!selection.isCollapsed) {
          selection.removeAllRanges();
          selection.addRange(range);
        }
      } else {
        this.forward(event);
      }
      drawSoon();
    }

    forward(event) {
      const { clientX, clientY, ctrlKey, metaKey, shiftKey, altKey, button } = event;
      this.raw.dispatchEvent(new MouseEvent("mouseup", {
        bubbles: true, cancelable: true, view: window, clientX, clientY, ctrlKey, metaKey, shiftKey, altKey, button,
      }));
    }

    clicked(event) {
      const region = this.regionOf(event.target);
      if (this.made || !region || !getSelection().isCollapsed) return;
      region.onClickRegion(event);
      event.stopPropagation();
      drawSoon();
    }

    close() {
      this.watch?.disconnect();
      showRaw(this.raw, this.box);
    }
  }

  function showRaw(raw, box) {
    raw.parentElement?.classList.remove("q-rendered", "q-written");
    raw.ariaHidden = null;
    box?.remove();
  }

  /* As Label Studio does it where an end is dragged on its own view. */
  function resize(region, isStart, [start, end]) {
    const { globalOffsets, annotation } = region;
    const offsets = isStart ? [start, globalOffsets.end] : [globalOffsets.start, end];
    region.removeHighlight();
    annotation.history.freeze("richtext:resize");
    region.updateGlobalOffsets(...offsets);
    region.updateTextOffsets(...offsets);
    region.applyHighlight();
    region.attachHandles();
    region.notifyDrawingFinished();
    region.updateHighlightedText({ force: true });
    annotation.history.unfreeze("richtext:resize");
  }

  /* The range of Label Studio's view that holds these code points: texts, and a line break for each ending of a line. */
  function rangeOf(root, start, end) {
    const range = document.createRange();
    const walk = document.createTreeWalker(root, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
    let at = 0;
    while (walk.nextNode()) {
      const node = walk.currentNode;
      if (node.nodeName === "BR") at += 1;
      if (node.nodeType !== Node.TEXT_NODE) continue;
      const points = codePoints(node.data);
      const length = points.count(node.length);
      if (start >= at && start < at + length) range.setStart(node, points.unit(start - at));
      if (end > at && end <= at + length) range.setEnd(node, points.unit(end - at));
      at += length;
    }
    return range;
  }

  /* --- the part ------------------------------------------------------------------------------------------------------- */

  let bundle = null;

  function load() {
    if (bundle) return bundle;
    bundle = window.quorumMarkdown ? Promise.resolve() : new Promise((resolve, reject) => {
      const script = element("script", {
        src: BUNDLE,
        onload: resolve,
        onerror: () => reject(new Error(`${BUNDLE} did not load: texts are shown as they are written`)),
      });
      document.head.append(script);
    });
    bundle.then(drawSoon, (fault) => console.error("Quorum:", fault));
    return bundle;
  }

  const isRendered = () => localStorage.getItem(CHOICE) !== "written";

  function textsOf(screen) {
    return [...screen.annotation.names.values()]
      .filter((tag) => tag.type === "text" && typeof tag._value === "string" && tag.mountNodeRef?.current?.isConnected)
      .map((tag) => [tag, tag.mountNodeRef.current]);
  }

  function drawn(screen) {
    const texts = screen ? textsOf(screen) : [];
    for (const [raw, reader] of [...readers]) {
      if (texts.some(([tag, root]) => reader.isOf(tag, root))) continue;
      reader.close();
      readers.delete(raw);
    }
    if (!texts.length) return;
    if (!window.quorumMarkdown) {
      load().catch(() => {});
      return;
    }
    try {
      for (const [tag, raw] of texts) {
        if (!readers.has(raw)) readers.set(raw, new Reader(tag, raw));
        readers.get(raw).draw();
      }
    } catch (fault) {
      /* Label Studio's own views are seen again; the seam then switches this part off. */
      for (const [, raw] of texts) showRaw(raw, readers.get(raw)?.box);
      throw fault;
    }
  }

  function toggle() {
    if (isRendered()) localStorage.setItem(CHOICE, "written");
    else localStorage.removeItem(CHOICE);
    drawSoon();
  }

  key({ keys: "alt+o", does: "Show the texts as they are written, or rendered again", run: toggle });
  part("reading", { drawn });

  /* --- for other parts ------------------------------------------------------------------------------------------------ */

  /* Draw a source into an element, with spans {id, start, end, label, color, classes, title} in its code points; resolves to
     the view, whose `mark(spans)` draws others. The raw source stands there until it is drawn. */
  async function marks(box, source, spans) {
    box.textContent = source;
    await load();
    const view = new View(box, source);
    view.mark(spans);
    return view;
  }

  const drawText = (box, source) => marks(box, source, []);
  window.quorumReading = Object.freeze({ drawText, marks, rangeOf });
})();
