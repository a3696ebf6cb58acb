// What the tests of access ask of a page, beside axe.
"use strict";

/**
 * One element for every way in which a page shows text: its colour, size and weight, and the
 * grounds it stands on. Elements that agree in these have the same contrast, so that one of each
 * kind stands for all, and a table of thousands of cells is judged in a moment.
 */
const kindsOfText = () => {
  const grounds = new Map();
  const groundOf = (element) => {
    if (!element) return "";
    if (!grounds.has(element)) {
      const { backgroundColor, backgroundImage, opacity } = getComputedStyle(element);
      const own = `${backgroundColor} ${backgroundImage} ${opacity}`;
      const clear = own === "rgba(0, 0, 0, 0) none 1";
      grounds.set(element, (clear ? "" : `${own}, `) + groundOf(element.parentElement));
    }
    return grounds.get(element);
  };
  const found = new Map();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    const element = text.parentElement;
    const seen = element.checkVisibility({ visibilityProperty: true, opacityProperty: true });
    if (!text.data.trim() || !seen) continue;
    const { color, fontSize, fontWeight, textDecorationLine } = getComputedStyle(element);
    const link = element.closest("a");
    // A link is judged beside the text that it stands in.
    const around = link ? getComputedStyle(link.parentElement).color : "";
    const kind = [color, fontSize, fontWeight, textDecorationLine, around, groundOf(element)];
    if (!found.has(kind.join())) found.set(kind.join(), link ? link.parentElement : element);
  }
  return [...found.values()];
};

/** Run axe on these elements alone, with everything else out of its way. */
const contrastOf = async (elements) => {
  const kept = new Set();
  for (const element of elements)
    for (let above = element; above; above = above.parentElement) kept.add(above);
  const hidden = [];
  const hide = (element) => {
    for (const child of element.children)
      if (!kept.has(child)) {
        hidden.push([child, child.getAttribute("style")]);
        child.style.setProperty("display", "none", "important");
      } else if (!elements.includes(child)) hide(child);
  };
  hide(document.body);
  try {
    return await violations(elements, { runOnly: ["color-contrast", "link-in-text-block"] });
  } finally {
    for (const [child, style] of hidden)
      if (style === null) child.removeAttribute("style");
      else child.setAttribute("style", style);
  }
};

/** What axe finds, as text. */
const violations = async (include, options) => {
  const found = await axe.run({ include }, { ...options, resultTypes: ["violations"], preload: false, iframes: false });
  return found.violations.map(({ id, impact, nodes }) => ({
    rule: id,
    impact,
    elements: nodes.map((node) => `${node.target.join(" ")}: ${node.failureSummary.replace(/\s+/g, " ")}`),
  }));
};

/** Everything but colours, in the whole page. */
const structureOf = () => {
  const off = { enabled: false };
  return violations([document], { rules: { "color-contrast": off, "link-in-text-block": off } });
};

Object.assign(window, { kindsOfText, contrastOf, structureOf });
