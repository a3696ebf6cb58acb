// What the cursor of the chapters and the overlay of the results share: data, numbers, plots.
//
// Data come as scripts that call thermo.data, since browsers do not let a page that is a file read
// another file.
(() => {
  "use strict";
  const STATIC = new URL(".", document.currentScript.src);
  const NOTHING = "–";
  const arrived = new Map();
  const awaited = new Map();

  /** Called by the scripts that hold data. */
  function data(chapter) {
    arrived.set(chapter.name, chapter);
    awaited.get(chapter.name)?.(chapter);
  }

  /** The data of a chapter, as a promise. */
  function load(name) {
    if (!arrived.has(name)) {
      const coming = new Promise((resolve, reject) => {
        awaited.set(name, resolve);
        const script = element("script", { src: address(`data/${encodeURIComponent(name)}.js`) });
        script.onerror = () => reject(new Error(`no data of ${name}`));
        document.head.append(script);
      });
      arrived.set(name, coming);
    }
    return Promise.resolve(arrived.get(name));
  }

  const address = (path) => new URL(path, STATIC).href;

  /** An element with properties and children; text of records arrives as text alone. */
  function element(tag, properties = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name in made) made[name] = value;
      else made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  }

  const significant = (value, digits) =>
    value === null || value === undefined
      ? NOTHING
      : String(Number(value.toPrecision(digits))).replace("-", "−");

  /** With as many decimals as tell it from nothing and from everything. */
  function decimals(value, digits, everything) {
    if (value === null || value === undefined) return NOTHING;
    let text = value.toFixed(digits);
    for (let more = digits + 1; more < 10; more += 1) {
      if (![0, everything].includes(Number(text)) || value === 0 || value === everything) break;
      text = value.toFixed(more);
    }
    return text;
  }
  const sparsity = (value) => decimals(value, 3, 1);
  const percent = (value) =>
    value === null || value === undefined ? NOTHING : `${decimals(100 * value, 1, 100)} %`;

  /** Where the nearest value is; of two that are as near, the lower. */
  function nearest(values, wanted) {
    let best = 0;
    values.forEach((value, i) => {
      // The margin is for ties: 0.3 is as near to 0.28 as to 0.32, but not in binary fractions.
      if (Math.abs(value - wanted) < Math.abs(values[best] - wanted) * (1 - 1e-9)) best = i;
    });
    return best;
  }

  const color = (name) =>
    getComputedStyle(document.querySelector(".live")).getPropertyValue(name).trim();

  /** An axis of uPlot in the colours of the theme, read anew whenever it is drawn. */
  function axis(label, more = {}) {
    const faint = { stroke: () => color("--live-faint"), width: 1 };
    const font = "12px system-ui, sans-serif";
    return {
      label, font, labelFont: font, labelSize: 18, size: 34, stroke: () => color("--live-ink"),
      grid: faint, ticks: faint, ...more,
    };
  }

  /** Keeps a plot as wide as its box, and in the colours of the theme. Returns how to stop. */
  function attend(plot, box, height) {
    const size = new ResizeObserver(() => {
      if (box.clientWidth) plot.setSize({ width: box.clientWidth, height });
    });
    size.observe(box);
    const theme = new MutationObserver(() => plot.redraw());
    theme.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    return () => [size, theme].forEach((observer) => observer.disconnect());
  }

  window.thermo = {
    address, attend, axis, color, data, element, load, nearest, percent, significant, sparsity,
  };
})();
