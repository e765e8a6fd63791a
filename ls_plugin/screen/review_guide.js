/* The guideline of the field in hand: the part of the project's instructions that names it. Only text is taken from them. */
(() => {
  "use strict";

  const { element } = window.quorum;
  const KEPT = new Set(["P", "UL", "OL", "LI", "TABLE", "THEAD", "TBODY", "TR", "TH", "TD", "CODE", "STRONG", "EM", "PRE",
    "BLOCKQUOTE", "H1", "H2", "H3", "H4", "BR"]);
  const HEADING = /^H[1-4]$/;

  function plain(text) {
    return text.toLowerCase().replace(/[_\s]+/gu, " ").trim();
  }

  /* A copy that is made of plain elements and text only, whatever the instructions hold. */
  function copy(node) {
    if (node.nodeType === Node.TEXT_NODE) return document.createTextNode(node.data);
    if (node.nodeType !== Node.ELEMENT_NODE || node.tagName === "STYLE" || node.tagName === "SCRIPT") return null;
    const children = [...node.childNodes].map(copy);
    return KEPT.has(node.tagName) ? element(node.tagName.toLowerCase(), {}, ...children) : element("span", {}, ...children);
  }

  /* The heading that names the field and what stands under it. */
  function section(blocks, name) {
    const at = blocks.findIndex((block) => HEADING.test(block.tagName) && plain(block.textContent).startsWith(name));
    if (at < 0) return [];
    const level = blocks[at].tagName;
    const end = blocks.findIndex((block, place) => place > at && HEADING.test(block.tagName) && block.tagName <= level);
    return blocks.slice(at, end < 0 ? undefined : end);
  }

  /* The row, point or paragraph that begins with the field's name in bold, with the head of its table. */
  function sentence(body, name) {
    const bold = [...body.querySelectorAll("strong")].find((strong) => plain(strong.textContent) === name);
    const row = bold?.closest("tr");
    if (row) {
      const head = row.closest("table").querySelector("thead");
      return [element("table", {}, head ? copy(head) : null, element("tbody", {}, copy(row)))];
    }
    const block = bold?.closest("li, p");
    return block ? [copy(block)] : [];
  }

  /* What the guidelines say about a field, as elements; empty where they do not name it. */
  function guideline(html, field) {
    const body = new DOMParser().parseFromString(String(html || ""), "text/html").body;
    const root = body.querySelector(".quorum-guide") || body;
    const name = plain(field.title);
    const under = section([...root.children], name);
    return under.length ? under.map(copy).filter(Boolean) : sentence(root, name);
  }

  window.quorumReview.guideline = guideline;
})();
