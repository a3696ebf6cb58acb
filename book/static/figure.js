// The cursor in the figure of a chapter: thin lines and dots over the image, and which threshold lies
// under a pointer. The image itself is left as it is.
(() => {
  "use strict";
  const { element, nearest } = thermo;

  const ofScore = (panel) => !/^(free_energy|dF_d)/.test(panel.y);
  const methods = (panel) => (ofScore(panel) ? ["full"] : ["renormalized", "full"]);

  /** How far along an axis a value is, from 0 to 1; not a number where it is undefined. */
  function part(value, [low, high], scale) {
    const scaled = scale === "log" ? Math.log : (v) => v;
    if (value === null || value === undefined) return NaN;
    return (scaled(value) - scaled(low)) / (scaled(high) - scaled(low));
  }
  const inside = (fraction) => fraction >= 0 && fraction <= 1;

  /** The figure of a page, if there is one: what shows a threshold, and finds one. */
  function panels(chapter) {
    const figure = document.querySelector(".six-panels");
    const image = figure?.matches("img") ? figure : figure?.querySelector("img");
    if (!image || !chapter.geometry.wide) return null;
    const stage = image.closest("figure") || image.parentElement;
    const layer = element("div", { className: "live-lines", "aria-hidden": "true" });
    stage.classList.add("live-stage");
    stage.append(layer);
    let geometry = null;
    let marks = [];
    let shown = null;

    /** Where a mark stands on the axes of its panel. */
    function point(panel, kind, at) {
      if (kind === "tau") return [chapter.renormalized.tau[at.renormalized], null];
      const [curve, i] = [chapter[kind], at[kind]];
      return i === null ? [null, null] : [curve[panel.x][i], curve[panel.y][i]];
    }

    /** A line at the cursor, over the sparsity one for each method; dots on the curves. */
    function marksOf(panel, number) {
      const lines = panel.x === "tau" ? ["tau"] : methods(panel);
      const made = (name) => (kind) => {
        const node = element("i", { className: name });
        Object.assign(node.dataset, { panel: number, kind });
        return { node, panel, kind, dot: name === "live-dot" };
      };
      return [...lines.map(made("live-line")), ...methods(panel).map(made("live-dot"))];
    }

    function place() {
      const inner = image.getBoundingClientRect();
      const outer = stage.getBoundingClientRect();
      Object.assign(layer.style, {
        left: `${inner.left - outer.left - stage.clientLeft}px`,
        top: `${inner.top - outer.top - stage.clientTop}px`,
        width: `${inner.width}px`,
        height: `${inner.height}px`,
      });
      const { narrow, wide } = chapter.geometry;
      const now = /-narrow\.svg/.test(image.currentSrc) ? narrow : wide;
      if (now === geometry) return;
      geometry = now;
      marks = geometry.flatMap(marksOf);
      layer.replaceChildren(...marks.map(({ node }) => node));
      if (shown) show(shown);
    }

    function show(at) {
      shown = at;
      for (const { node, panel, kind, dot } of marks) {
        const [x, y] = point(panel, kind, at);
        const [left, top, width, height] = panel.box;
        const across = part(x, panel.xlim, "linear");
        const up = dot ? part(y, panel.ylim, panel.scale) : 1;
        // What the panel does not reach is not drawn at its edge.
        node.hidden = !inside(across) || !inside(up);
        if (node.hidden) continue;
        node.style.left = `${100 * (left + across * width)}%`;
        node.style.top = `${100 * (top + (1 - up) * height)}%`;
        if (!dot) node.style.height = `${100 * height}%`;
      }
    }

    function find(event) {
      const rect = image.getBoundingClientRect();
      const x = (event.clientX - rect.left) / rect.width;
      const y = (event.clientY - rect.top) / rect.height;
      const panel = geometry.find(
        ({ box: [left, top, width, height] }) =>
          inside((x - left) / width) && inside((y - top) / height)
      );
      if (!panel) return null;
      const [low, high] = panel.xlim;
      const value = low + ((x - panel.box[0]) / panel.box[2]) * (high - low);
      const { full, renormalized } = chapter;
      if (panel.x === "tau") return nearest(renormalized.tau, value);
      // A sparsity is looked up on the curve that the panel shows.
      if (!ofScore(panel)) return nearest(renormalized.beta, value);
      return nearest(renormalized.tau, full.tau[nearest(full.beta, value)]);
    }

    new ResizeObserver(place).observe(image);
    new ResizeObserver(place).observe(stage);
    image.addEventListener("load", place); // the other image was chosen
    place();
    /** Puts something between the image and its caption. */
    const under = (node) => {
      const caption = stage.querySelector("figcaption");
      if (caption) caption.before(node);
      else stage.append(node);
    };
    return { stage, show, find, under };
  }

  /** A mouse looks where it is, and leaves the cursor where it was dragged; so does a finger. */
  function follow({ stage, find }, cursor) {
    let start = null; // of a press within a panel
    let used = false; // whether the press was for the cursor
    const mouse = (event) => event.pointerType === "mouse";
    stage.addEventListener("pointerdown", (event) => {
      const i = event.button === 0 ? find(event) : null;
      used = i !== null && !mouse(event);
      start = i === null ? null : { x: event.clientX, pinned: cursor.pinned() };
      if (used) cursor.show(i);
    });
    stage.addEventListener("pointermove", (event) => {
      const i = find(event);
      const dragged = start !== null && Math.abs(event.clientX - start.x) > 3;
      used ||= dragged;
      if (i === null) cursor.back();
      else if (dragged) cursor.pin(i);
      else if (mouse(event)) cursor.show(i);
    });
    stage.addEventListener("pointerup", (event) => {
      const i = find(event);
      if (start !== null && used && i !== null) cursor.pin(i);
      start = null;
    });
    stage.addEventListener("pointercancel", () => {
      // The finger scrolls the page instead.
      if (start !== null) cursor.pin(start.pinned);
      start = null;
    });
    stage.addEventListener("pointerleave", () => {
      start = null;
      cursor.back();
    });
    // A click that was for the cursor does nothing else; any other may enlarge the figure.
    const stop = (event) => {
      if (!used) return;
      event.preventDefault();
      event.stopPropagation();
      used = false;
    };
    stage.addEventListener("click", stop, true);
    stage.addEventListener("dragstart", (event) => event.preventDefault());
  }

  Object.assign(thermo, { follow, panels });
})();
