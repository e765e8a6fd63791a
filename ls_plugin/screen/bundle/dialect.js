/* What models write that micromark does not know. Formulas within a text, as models write them: $x$, $$x$$, \(x\) and, on lines of their own, \[x\]: constructs for
   micromark. A sum of money is no formula: no white space follows the opening $ or stands before the closing one, and no
   digit follows it. */

const DOLLAR = 36;
const STAR = 42;
const BACKSLASH = 92;
const PARENTHESES = [40, 41];
const BRACKETS = [91, 93];

const isLineEnding = (code) => code !== null && code < -2;
const isSpace = (code) => code === null || code < 0 || code === 32;
const isDigit = (code) => code !== null && code >= 48 && code <= 57;

/* Consume up to the end mark. `afterMark(code, before)` is the state after a code that may end the formula. */
function read(effects, ok, nok, afterMark) {
  let open = true;
  let before = null;
  let escaped = false;

  function next(code) {
    if (code === null) return nok(code);
    if (isLineEnding(code)) {
      if (open) effects.exit("formulaData");
      open = false;
      effects.enter("lineEnding");
      effects.consume(code);
      effects.exit("lineEnding");
      before = code;
      escaped = false;
      return next;
    }
    if (!open) effects.enter("formulaData");
    open = true;
    const state = escaped ? null : afterMark(code, before);
    escaped = !escaped && code === BACKSLASH;
    effects.consume(code);
    before = code;
    return state || next;
  }

  function done(code) {
    effects.exit("formulaData");
    effects.exit("formula");
    return ok(code);
  }

  return { next, done };
}

function tokenizeDollars(effects, ok, nok) {
  let size = 0;
  const reader = read(effects, ok, nok, (code, before) => {
    if (code !== DOLLAR) return null;
    if (size === 2) return second;
    return isSpace(before) ? afterSpace : afterSingle;
  });
  return start;

  function start(code) {
    effects.enter("formula");
    effects.enter("formulaData");
    return sequence(code);
  }

  function sequence(code) {
    if (code === DOLLAR && size < 3) {
      size += 1;
      effects.consume(code);
      return sequence;
    }
    return size > 2 || (size === 1 && isSpace(code)) ? nok(code) : reader.next(code);
  }

  function second(code) {
    if (code !== DOLLAR) return reader.next(code);
    effects.consume(code);
    return reader.done;
  }

  /* Another one opens here: the first was a sum of money. */
  function afterSpace(code) {
    return isSpace(code) ? reader.next(code) : nok(code);
  }

  function afterSingle(code) {
    return isDigit(code) || code === DOLLAR ? reader.next(code) : reader.done(code);
  }
}

function tokenizeBackslash(effects, ok, nok) {
  const tail = this.events.at(-1);
  const atLineStart = this.previous === null || isLineEnding(this.previous) || tail?.[1].type === "linePrefix";
  let marks = PARENTHESES;
  const reader = read(effects, ok, nok, (code) => (code === BACKSLASH ? closing : null));
  return start;

  function start(code) {
    effects.enter("formula");
    effects.enter("formulaData");
    effects.consume(code);
    return mark;
  }

  function mark(code) {
    marks = code === BRACKETS[0] ? BRACKETS : PARENTHESES;
    if (code !== marks[0] || (marks === BRACKETS && !atLineStart)) return nok(code);
    effects.consume(code);
    return reader.next;
  }

  function closing(code) {
    if (code !== marks[1]) return reader.next(code);
    effects.consume(code);
    return marks === BRACKETS ? lineEnd : reader.done;
  }

  /* An escaped bracket, as in "\[1\] says", is no formula: what follows one stands on another line. */
  function lineEnd(code) {
    return isSpace(code) || code === 46 || code === 44 ? reader.done(code) : nok(code);
  }
}

function notAfterDollar(code) {
  return code !== DOLLAR || this.events.at(-1)?.[1].type === "characterEscape";
}

export const formulas = {
  text: {
    [DOLLAR]: { name: "formula", tokenize: tokenizeDollars, previous: notAfterDollar },
    [BACKSLASH]: { name: "formula", tokenize: tokenizeBackslash },
  },
};

/* COUNT(*) and f(**) are code that nobody has fenced, and no emphasis. */
function tokenizeStars(effects, ok, nok) {
  return start;

  function start(code) {
    effects.enter("data");
    return stars(code);
  }

  function stars(code) {
    if (code === STAR) {
      effects.consume(code);
      return stars;
    }
    effects.exit("data");
    return code === PARENTHESES[1] ? ok(code) : nok(code);
  }
}

function afterParenthesis(code) {
  return code === PARENTHESES[0];
}

export const starsInParentheses = {
  text: { [STAR]: { name: "stars", tokenize: tokenizeStars, previous: afterParenthesis } },
};
