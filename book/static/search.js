// The results of a search get a piece of the page each, from search-texts.js: Sphinx would fetch
// the pages, which a browser refuses to a site opened as files.
"use strict";

const LONGEST = 240;

/** The words of the query that count, in lower case. */
const queryTerms = () =>
  (new URLSearchParams(location.search).get("q") ?? "")
    .toLowerCase()
    .split(/[^\p{L}\p{N}_]+/u)
    .filter((term) => term.length > 1);

/** Where the first of some words begins in a text; -1 if none is in it. */
const firstOf = (text, terms) => {
  const found = terms.map((term) => text.toLowerCase().indexOf(term)).filter((at) => at >= 0);
  return found.length ? Math.min(...found) : -1;
};

/** The piece that has most of the words, cut to a length around the first of them. */
const summaryOf = (pieces, terms) => {
  const score = (piece) => terms.filter((term) => piece.toLowerCase().includes(term)).length;
  const best = pieces.reduce((a, b) => (score(b) > score(a) ? b : a), pieces[0] ?? "");
  const start = score(best) ? Math.max(0, firstOf(best, terms) - LONGEST / 3) : 0;
  const begin = start === 0 ? 0 : best.indexOf(" ", start) + 1;
  const text = best.slice(begin, begin + LONGEST);
  const whole = begin + LONGEST >= best.length;
  const end = whole ? text.length : Math.max(text.lastIndexOf(" "), 1);
  return `${begin ? "…" : ""}${text.slice(0, end)}${whole ? "" : "…"}`;
};

/** A paragraph with the words of the query marked; text stays text. */
const marked = (text, terms) => {
  const paragraph = document.createElement("p");
  paragraph.className = "context";
  let rest = text;
  for (let at = firstOf(rest, terms); at >= 0; at = firstOf(rest, terms)) {
    const term = terms.filter((t) => rest.toLowerCase().startsWith(t, at)).sort((a, b) => b.length - a.length)[0];
    paragraph.append(rest.slice(0, at));
    const mark = paragraph.appendChild(document.createElement("mark"));
    mark.textContent = rest.slice(at, at + term.length);
    rest = rest.slice(at + term.length);
  }
  paragraph.append(rest);
  return paragraph;
};

const describe = (item, terms) => {
  const link = item.querySelector("a");
  // What has a description of its own, as functions have, needs none.
  if (!link || item.querySelector("span, p")) return;
  const [address, anchor] = link.getAttribute("href").split("#");
  const sections = window.pageTexts[address.replace(/\.html$/, "")] ?? {};
  const pieces = sections[anchor] ?? Object.values(sections).flat();
  const text = summaryOf(pieces.filter((piece) => !link.textContent.endsWith(piece)), terms);
  if (text) item.append(marked(text, terms));
};

document.addEventListener("DOMContentLoaded", () => {
  const results = document.getElementById("search-results");
  const terms = queryTerms();
  if (!results || !terms.length) return;
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes)
      for (const node of addedNodes) if (node.nodeName === "LI") describe(node, terms);
  }).observe(results, { childList: true, subtree: true });
  // Sphinx may have been here first.
  for (const item of results.querySelectorAll("li")) describe(item, terms);
});
