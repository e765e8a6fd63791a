/* A text as a tree of what is seen, each character of it with its place in the source.

   A leaf holds `text` and `from` / `to`: of the UTF-16 unit i that is seen, source.slice(from[i], to[i]) is what makes it.
   A whole (a formula, an image) holds `start` / `end` and takes part in a span as one. */
import { decodeNamedCharacterReference } from "decode-named-character-reference";
import bash from "highlight.js/lib/languages/bash";
import c from "highlight.js/lib/languages/c";
import cpp from "highlight.js/lib/languages/cpp";
import csharp from "highlight.js/lib/languages/csharp";
import css from "highlight.js/lib/languages/css";
import go from "highlight.js/lib/languages/go";
import java from "highlight.js/lib/languages/java";
import javascript from "highlight.js/lib/languages/javascript";
import json from "highlight.js/lib/languages/json";
import python from "highlight.js/lib/languages/python";
import r from "highlight.js/lib/languages/r";
import ruby from "highlight.js/lib/languages/ruby";
import rust from "highlight.js/lib/languages/rust";
import sql from "highlight.js/lib/languages/sql";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";
import { createLowlight } from "lowlight";
import { parse, postprocess, preprocess } from "micromark";
import { gfmStrikethrough } from "micromark-extension-gfm-strikethrough";
import { gfmTable } from "micromark-extension-gfm-table";
import { gfmTaskListItem } from "micromark-extension-gfm-task-list-item";
import { math } from "micromark-extension-math";
import { decodeNumericCharacterReference } from "micromark-util-decode-numeric-character-reference";
import { normalizeIdentifier } from "micromark-util-normalize-identifier";
import temml from "temml";

import { formulas, starsInParentheses } from "./dialect.js";

const languages = createLowlight({
  bash, c, cpp, csharp, css, go, java, javascript, json, python, r, ruby, rust, sql, typescript, xml, yaml,
});
const LONGEST_HIGHLIGHTED = 20000;
const extensions = [
  gfmTable(), gfmTaskListItem(), gfmStrikethrough({ singleTilde: false }), { flow: math().flow }, formulas,
  starsInParentheses,
];

/* --- leaves -------------------------------------------------------------------------------------------------------- */

class Leaf {
  constructor(type) {
    this.type = type;
    this.text = "";
    this.from = [];
    this.to = [];
  }

  /* Characters that are seen as they stand in the source. */
  same(source, start, end) {
    this.text += source.slice(start, end);
    for (let at = start; at < end; at += 1) {
      this.from.push(at);
      this.to.push(at + 1);
    }
  }

  /* Characters that something else of the source makes: an escape, a reference, a line ending. */
  made(text, start, end) {
    this.text += text;
    for (let unit = 0; unit < text.length; unit += 1) {
      this.from.push(start);
      this.to.push(end);
    }
  }

  cut(start, end) {
    this.text = this.text.slice(start, end);
    this.from = this.from.slice(start, end);
    this.to = this.to.slice(start, end);
  }
}

/* --- the tree ------------------------------------------------------------------------------------------------------- */

/* What is not seen, with all that is in it. */
const HIDDEN = new Set([
  "codeFencedFence", "mathFlowFence", "listItemPrefix", "blockQuotePrefix", "resource", "reference", "atxHeadingSequence",
  "setextHeadingLine", "tableDelimiterRow", "tableCellDivider", "codeTextPadding", "hardBreakEscape", "hardBreakTrailing",
]);
const ELEMENTS = {
  paragraph: "paragraph", blockQuote: "quote", emphasis: "emphasis", strong: "strong", strikethrough: "deleted",
  table: "table", tableRow: "row", tableHeader: "cell", tableData: "cell", link: "link", autolink: "link",
};
const LISTS = { listOrdered: true, listUnordered: false };
const BLOCKS_OF_TEXT = { codeFenced: "code", codeIndented: "code", htmlFlow: "html" };

class Builder {
  constructor(source) {
    this.source = source;
    this.root = { type: "root", children: [] };
    this.open = [this.root];
    this.leaf = null;
    this.block = null;
    this.formula = null;
  }

  get top() { return this.open.at(-1); }

  slice(token) { return this.source.slice(token.start.offset, token.end.offset); }

  push(node) {
    this.leaf = null;
    this.top.children.push(node);
    this.open.push(node);
  }

  pop() {
    this.leaf = null;
    return this.open.pop();
  }

  words(type = "text") {
    if (this.leaf?.type !== type) {
      this.leaf = new Leaf(type);
      this.top.children.push(this.leaf);
    }
    return this.leaf;
  }

  build(events) {
    const addresses = definitions(events, this.source);
    for (let at = 0; at < events.length; at += 1) {
      const [kind, token] = events[at];
      if (kind === "exit") {
        this.exit(token);
        continue;
      }
      if (HIDDEN.has(token.type)) {
        this.hide(token, events, at);
        at = endOf(events, at);
      } else if (token.type === "definition") {
        this.define(token);
        at = endOf(events, at);
      } else if (token.type === "image") {
        this.picture(token, events.slice(at, endOf(events, at)), addresses);
        at = endOf(events, at);
      } else if (token.type === "characterReference") {
        this.refer(token, events.slice(at, endOf(events, at)));
        at = endOf(events, at);
      } else {
        this.enter(token, events, at, addresses);
      }
    }
    return this.root;
  }

  enter(token, events, at, addresses) {
    const { type } = token;
    const [start, end] = [token.start.offset, token.end.offset];
    if (type in ELEMENTS) {
      const node = { type: ELEMENTS[type], children: [] };
      if (type === "link") node.address = address(events.slice(at, endOf(events, at)), addresses, this.source);
      if (type === "autolink") node.address = this.slice(token).slice(1, -1);
      if (type === "table") node.align = token._align;
      if (type === "tableHeader" || type === "tableData") node.heading = type === "tableHeader";
      this.push(node);
    } else if (type in LISTS) {
      this.push({ type: "list", ordered: LISTS[type], first: 1, children: [] });
    } else if (type === "atxHeading" || type === "setextHeading") {
      this.push({ type: "heading", level: level(events, at, this.source), children: [] });
    } else if (type in BLOCKS_OF_TEXT) {
      this.push({ type: BLOCKS_OF_TEXT[type], language: "", children: [] });
      this.block = this.words();
      this.block.fences = 0;
    } else if (type === "mathFlow" || type === "formula") {
      this.formula = { type: "formula", display: type === "mathFlow", text: "", start, end };
    } else if (type === "thematicBreak") {
      this.leaf = null;
      this.top.children.push({ type: "rule" });
    } else if (type === "codeText") {
      this.push({ type: "inlineCode", children: [] });
    } else if (this.formula) {
      if (type === "formulaData" || type === "mathFlowValue") this.formula.text += this.slice(token);
      if (type === "lineEnding") this.formula.text += "\n";
    } else if (type === "codeFlowValue" || type === "htmlFlowData") {
      this.block.same(this.source, start, end);
    } else if (type === "codeTextData") {
      this.code(start, end);
    } else if (type === "data" || type === "htmlTextData" || type === "autolinkProtocol" || type === "autolinkEmail") {
      this.words().same(this.source, start, end);
    } else if (type === "characterEscapeValue") {
      this.words().made(this.slice(token), start - 1, end);
    } else if (type === "lineEnding") {
      this.breakLine(start);
    } else if (type === "taskListCheckValueChecked" || type === "taskListCheckValueUnchecked") {
      const item = this.open.findLast((node) => node.type === "item");
      if (item) item.done = type === "taskListCheckValueChecked";
    }
  }

  exit(token) {
    const { type } = token;
    if (type in LISTS) {
      if (this.top.type === "item") this.pop();
      this.pop();
    } else if (type in BLOCKS_OF_TEXT) {
      this.finishBlock(type);
    } else if (type === "mathFlow" || type === "formula") {
      this.finishFormula(type);
    } else if (type === "setextHeadingText") {
      this.top.over = true;
    } else if (type in ELEMENTS || type === "atxHeading" || type === "setextHeading" || type === "codeText") {
      this.pop();
    }
  }

  /* A line ending that a token tells reaches past the marks at the start of the next line. */
  breakLine(start) {
    const end = start + (this.source.startsWith("\r\n", start) ? 2 : 1);
    if (this.block) {
      this.block.made("\n", start, end);
    } else if (this.top.type === "inlineCode") {
      this.words().made(" ", start, end);
    } else if (this.top.over) {
      return;
    } else if (["paragraph", "heading", "emphasis", "strong", "deleted", "link"].includes(this.top.type)) {
      this.words().made("\n", start, end);
    }
  }

  /* In a table a code may hold an escaped pipe: nothing else is escaped in code. */
  code(start, end) {
    const inTable = this.open.some((node) => node.type === "cell");
    const words = this.words();
    for (let at = start; at < end; at += 1) {
      const pipe = inTable && this.source.startsWith("\\|", at) && at + 1 < end;
      if (pipe) words.made("|", at, at + 2);
      else words.same(this.source, at, at + 1);
      if (pipe) at += 1;
    }
  }

  hide(token, events, at) {
    if (token.type === "listItemPrefix") {
      if (this.top.type === "item") this.pop();
      const list = this.top;
      const value = inside(events, at, "listItemValue");
      if (list.ordered && value && !list.children.length) list.first = Number(this.slice(value));
      this.push({ type: "item", children: [] });
    } else if (token.type === "codeFencedFence" && this.block) {
      const language = inside(events, at, "codeFencedFenceInfo");
      if (language) this.top.language = this.slice(language);
      this.block.fences += 1;
    }
  }

  finishBlock(type) {
    const { block } = this;
    this.block = null;
    const first = type === "codeFenced" && block.text.startsWith("\n") ? 1 : 0;
    const closed = type === "codeFenced" ? block.fences > 1 : type === "codeIndented";
    const last = closed && block.text.length > first && block.text.endsWith("\n") ? block.text.length - 1
      : block.text.length;
    block.cut(first, last);
    this.pop();
  }

  finishFormula(type) {
    const { formula } = this;
    this.formula = null;
    if (type === "mathFlow") {
      formula.text = formula.text.trim();
    } else {
      const size = formula.text.startsWith("$$") || formula.text.startsWith("\\") ? 2 : 1;
      formula.display = formula.text.startsWith("$$") || formula.text.startsWith("\\[");
      formula.text = formula.text.slice(size, -size);
    }
    this.leaf = null;
    this.top.children.push(formula);
  }

  /* A definition of an address is seen as it stands: it is a part of the text that nobody should have to guess. */
  define(token) {
    this.push({ type: "definition", children: [] });
    this.words().same(this.source, token.start.offset, token.end.offset);
    this.pop();
  }

  picture(token, events, addresses) {
    const label = events.find(([kind, part]) => kind === "enter" && part.type === "labelText");
    this.leaf = null;
    this.top.children.push({
      type: "image",
      text: label ? this.slice(label[1]) : "",
      address: address(events, addresses, this.source),
      start: token.start.offset,
      end: token.end.offset,
    });
  }

  refer(token, events) {
    const type = (name) => events.find(([kind, part]) => kind === "enter" && part.type === name)?.[1];
    const value = this.slice(type("characterReferenceValue"));
    const text = type("characterReferenceMarkerNumeric")
      ? decodeNumericCharacterReference(value, type("characterReferenceMarkerHexadecimal") ? 16 : 10)
      : decodeNamedCharacterReference(value);
    this.words().made(text, token.start.offset, token.end.offset);
  }
}

function endOf(events, at) {
  const token = events[at][1];
  let end = at + 1;
  while (events[end][1] !== token || events[end][0] !== "exit") end += 1;
  return end;
}

function inside(events, at, type) {
  const end = endOf(events, at);
  for (let next = at; next < end; next += 1) if (events[next][1].type === type) return events[next][1];
  return null;
}

function level(events, at, source) {
  const marks = inside(events, at, "atxHeadingSequence");
  if (marks) return marks.end.offset - marks.start.offset;
  const line = inside(events, at, "setextHeadingLineSequence");
  return line && source[line.start.offset] === "=" ? 1 : 2;
}

/* The addresses that a text defines at its end, by their labels. */
function definitions(events, source) {
  const addresses = new Map();
  let label = "";
  for (const [kind, token] of events) {
    if (kind !== "enter") continue;
    const text = () => source.slice(token.start.offset, token.end.offset);
    if (token.type === "definitionLabelString") label = normalizeIdentifier(text());
    if (token.type === "definitionDestinationString" && !addresses.has(label)) addresses.set(label, text());
  }
  return addresses;
}

function address(events, addresses, source) {
  /* The last ones are those of the link itself: an image in its text has its own before. */
  const last = (type) => events.findLast(([kind, token]) => kind === "enter" && token.type === type)?.[1];
  const text = (token) => source.slice(token.start.offset, token.end.offset);
  const destination = last("resourceDestinationString");
  if (destination) return text(destination);
  const label = last("referenceString") || last("labelText");
  return (label && addresses.get(normalizeIdentifier(text(label)))) || "";
}

/* Whether a text is better left to Label Studio's own view: it would look the same here (nothing but paragraphs, no
   character unseen), or it is a session of Python, whose >>> are no quotes. */
function isPlain(root, source) {
  const depth = (node) => (node.type === "quote" ? 1 + Math.max(0, ...node.children.map(depth)) : 0);
  if (/^ {0,3}>>> /m.test(source) && root.children.some((child) => depth(child) > 2)) return true;
  const seen = new Uint8Array(source.length);
  function visit(node) {
    if (node instanceof Leaf) {
      node.from.forEach((start, unit) => { if (node.to[unit] - start === 1) seen[start] = 1; });
      return true;
    }
    return ["root", "paragraph", "html"].includes(node.type) && node.children.every(visit);
  }
  return visit(root) && [...seen].every((is, at) => is || /\s/.test(source[at]));
}

/* --- what the screen takes ------------------------------------------------------------------------------------------ */

function tree(source) {
  const events = postprocess(parse({ extensions }).document().write(preprocess()(source, undefined, true)));
  const root = new Builder(source).build(events);
  root.plain = isPlain(root, source);
  return root;
}

/* Code in pieces of one colour each: [text, class names]; null where the language is unknown. */
function highlight(text, language) {
  const name = language.toLowerCase();
  if (!languages.registered(name) || text.length > LONGEST_HIGHLIGHTED) return null;
  const pieces = [];
  function visit(node, classes) {
    if (node.type === "text") pieces.push([node.value, classes]);
    else node.children.forEach((child) => visit(child, [...classes, ...(node.properties?.className || [])]));
  }
  visit(languages.highlight(name, text), []);
  return pieces;
}

/* Draw a formula into an element; false where it is none that can be read: people see its source then. Temml throws
   errors of any kind on what it cannot read. */
function formula(text, element, display) {
  try {
    temml.render(text, element, { displayMode: display, throwOnError: true, trust: false, maxSize: [20, 100] });
    return true;
  } catch {
    element.replaceChildren();
    return false;
  }
}

window.quorumMarkdown = Object.freeze({ tree, highlight, formula });
