/* The guidelines as elements, and the place in them that is about a field or one of its labels. One reading of them serves
   the screen of what differs and the panel beside the form. Only texts and plain elements are taken from them. */
(() => {
  "use strict";

  const { element, shared, drawSoon } = window.quorum;
  const KEPT = new Set(["P", "UL", "OL", "LI", "TABLE", "THEAD", "TBODY", "TR", "TH", "TD", "CODE", "STRONG", "EM", "PRE",
    "BLOCKQUOTE", "BR"]);
  const HEADING = '[role="heading"]';
  /* `## Amounts of money {#entities.MONEY}`: a heading that says what it is about. */
  const ANCHOR = /\s*\{#([^{}]+)\}\s*$/;
  const CLASS = /(?:^|\s)about-(\S+)/;

  function plain(text) {
    return String(text ?? "").toLowerCase().replace(/[_\s]+/gu, " ").trim();
  }

  /* A name as an anchor has it: `partly-correct`. */
  const slug = (text) => plain(text).replaceAll(" ", "-");

  /* --- reading ------------------------------------------------------------------------------------------------------------- */

  let latest = "";
  let sent = null;
  let reading = null;

  /* A copy that is made of plain elements and text only, whatever the instructions hold. */
  function copy(node) {
    if (node.nodeType === Node.TEXT_NODE) return document.createTextNode(node.data);
    if (node.nodeType !== Node.ELEMENT_NODE || node.tagName === "STYLE" || node.tagName === "SCRIPT") return null;
    const children = [...node.childNodes].map(copy);
    const level = /^H([1-6])$/.exec(node.tagName)?.[1];
    if (level) {
      const about = CLASS.exec(node.className)?.[1] ?? null;
      return element("div", { role: "heading", "aria-level": level, class: `q-h q-h${level}`, "data-about": about }, ...children);
    }
    return KEPT.has(node.tagName) ? element(node.tagName.toLowerCase(), {}, ...children) : element("span", {}, ...children);
  }

  function readHtml(box, html) {
    const body = new DOMParser().parseFromString(html, "text/html").body;
    box.append(...[...(body.querySelector(".quorum-guide") || body).childNodes].map(copy).filter(Boolean));
  }

  /* What the headings of a Markdown source say that they are about is taken off them. */
  function takeAnchors(box) {
    for (const heading of box.querySelectorAll(HEADING)) {
      const about = ANCHOR.exec(heading.textContent);
      if (!about) continue;
      heading.dataset.about = slug(about[1]);
      let rest = about[0].length;
      const walk = document.createTreeWalker(heading, NodeFilter.SHOW_TEXT);
      for (let text = walk.lastChild(); text && rest; text = walk.previousNode()) {
        const cut = Math.min(rest, text.data.length);
        text.data = text.data.slice(0, text.data.length - cut);
        rest -= cut;
      }
    }
  }

  /* The guidelines as the server has sent them; until they are drawn, and without any, the project's instructions. */
  function guide(screen) {
    const source = String(screen.store.description || "");
    if (sent) return sent;
    if (reading?.source !== source) {
      reading = { source, box: element("div", { class: "q-guide q-reading" }) };
      readHtml(reading.box, source);
    }
    return reading.box;
  }

  /* Take the Markdown that the server sent; "" where the project shows other instructions. */
  async function take(markdown) {
    latest = markdown;
    const box = markdown ? element("div", { class: "q-guide" }) : null;
    if (box) {
      await window.quorumReading.drawText(box, markdown);
      takeAnchors(box);
    }
    if (latest !== markdown) return;
    sent = box;
    drawSoon();
  }

  /* --- places ----------------------------------------------------------------------------------------------------------------- */

  const level = (block) => (block.matches(HEADING) ? Number(block.getAttribute("aria-level")) : 0);

  /* A heading and what stands under it. */
  function section(heading) {
    const blocks = [heading];
    for (let next = heading.nextElementSibling; next; next = next.nextElementSibling) {
      if (level(next) && level(next) <= level(heading)) break;
      blocks.push(next);
    }
    return blocks;
  }

  const about = (box, name) => [...box.querySelectorAll("[data-about]")].find((each) => each.dataset.about === name) || null;

  const within = (blocks, selector) => blocks.flatMap((block) => [
    ...(block.matches(selector) ? [block] : []), ...block.querySelectorAll(selector)]);

  /* The heading of a field: it begins with the field's name. */
  function headingOf(box, field) {
    const name = plain(field.title);
    const begins = (text) => text.startsWith(name) && !/^[\p{L}\p{N}]/u.test(text.slice(name.length));
    return about(box, slug(field.name))
      || [...box.querySelectorAll(HEADING)].find((heading) => begins(plain(heading.textContent))) || null;
  }

  /* A heading that is these words, or the words in bold. */
  function named(blocks, words) {
    const is = (each) => words.includes(plain(each.textContent));
    return within(blocks, HEADING).find(is) || within(blocks, "strong").find(is) || null;
  }

  /* Where the guidelines speak of a field, or of one of its labels: a heading or words in bold; null where they don't. */
  function place(screen, field, label = null) {
    const box = guide(screen);
    const heading = headingOf(box, field);
    const own = heading || named([...box.children], [plain(field.title)]);
    if (!label) return own;
    const anchors = [label.value, label.title].map((word) => about(box, `${slug(field.name)}.${slug(word)}`));
    const words = [label.value, label.title].map(plain);
    return anchors.find(Boolean) || named(heading ? section(heading) : own ? [] : [...box.children], words) || own;
  }

  /* The paragraph, point or row of a table in which words stand. */
  const paragraph = (found) => found.closest(`tr, li, p, ${HEADING}`) || found;

  /* What the guidelines say about a field, as elements of their own; empty where they do not name it. */
  function guideline(screen, field) {
    const found = place(screen, field);
    if (!found) return [];
    if (found.matches(HEADING)) return section(found).map((block) => block.cloneNode(true));
    const block = paragraph(found);
    if (block.tagName !== "TR") return [block.cloneNode(true)];
    const head = block.closest("table").querySelector("thead");
    return [element("table", {}, head?.cloneNode(true), element("tbody", {}, block.cloneNode(true)))];
  }

  shared.guide = Object.freeze({ guide, take, place, paragraph, guideline });
})();
