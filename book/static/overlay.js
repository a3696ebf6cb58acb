// Curves of several chapters over each other, on the page of the results. What is chosen is kept in
// the address, so that a comparison can be linked to.
(() => {
  "use strict";
  const box = document.getElementById("overlay");
  if (!box) return;
  const { address, attend, axis, element, load, percent, significant, sparsity } = thermo;
  const chapters = JSON.parse(box.dataset.chapters);

  // Seven colours and three dashes have no factor in common: of 21 chapters no two look alike, and
  // neighbours differ in both. The colours are seen on white and on black.
  const COLORS = ["#3a7fd5", "#c8641b", "#2b9461", "#a55bd0", "#d64550", "#1b90a3", "#94803a"];
  const DASHES = [[], [9, 4], [2, 4]];
  const BORDERS = ["solid", "dashed", "dotted"];
  const look = (i) => ({ color: COLORS[i % 7], dash: DASHES[i % 3], border: BORDERS[i % 3] });

  const CHOICES = {
    y: [["free_energy", "free energy F"], ["slope", "slope of F"], ["accuracy", "accuracy under pruning (%)"]],
    x: [["tau", "threshold τ"], ["beta", "sparsity β"]],
    curve: [["renormalized", "renormalized (RFE)"], ["full", "full evaluation (FE)"]],
  };
  const HEADS = { y: "show", x: "over", curve: "from" };
  const HEIGHT = 380;

  const query = new URLSearchParams(location.search);
  const known = chapters.map(([name]) => name);
  const fields = Object.fromEntries(
    Object.entries(CHOICES).map(([name, choices]) => {
      const select = element("select", {}, ...choices.map(([value, text]) => new Option(text, value)));
      if (choices.some(([value]) => value === query.get(name))) select.value = query.get(name);
      return [name, select];
    })
  );
  const asked = query.has("curves") ? query.get("curves").split(" ") : known.slice(0, 2);
  const boxes = chapters.map(([name, title], i) => {
    const field = element("input", { type: "checkbox", value: name, checked: asked.includes(name) });
    const swatch = element("i", { className: "live-swatch", "aria-hidden": "true" });
    swatch.style.borderTop = `3px ${look(i).border} ${look(i).color}`;
    return { field, label: element("label", {}, field, swatch, title) };
  });
  const none = element("button", { type: "button" }, "choose none");
  const plotted = element("div", { className: "live-plot" });
  const said = element("p", { className: "live-caption", "aria-live": "polite" });
  const table = element(
    "details", { className: "live-table" }, element("summary", {}, "The curves as a table")
  );
  box.append(
    element(
      "form", { className: "live-controls", "aria-label": "Curves to compare" },
      element(
        "div", { className: "live-choices" },
        ...Object.entries(fields).map(([name, select]) => element("label", {}, HEADS[name], " ", select)),
        none
      ),
      element("div", { className: "live-chapters" }, ...boxes.map(({ label }) => label))
    ),
    plotted, said, table
  );

  const chosen = () => boxes.flatMap(({ field }, i) => (field.checked ? [i] : []));
  // Accuracy is known where the network was pruned, and nowhere else.
  const method = () => (fields.y.value === "accuracy" ? "full" : fields.curve.value);
  const column = () => (fields.y.value === "slope" ? `dF_d${fields.x.value}` : fields.y.value);

  /** What is drawn of a chapter, as in its own figure: the bulk, as far as it was evaluated. */
  function points(chapter) {
    const curve = chapter[method()];
    const [xs, ys] = [curve[fields.x.value], curve[column()]];
    const last = chapter.full.tau[chapter.full.tau.length - 1] * (1 + 1e-9);
    const rows = xs.flatMap((x, i) => {
      const within = fields.x.value === "beta" || curve.tau[i] <= last;
      const bulk = fields.y.value === "accuracy" || curve.beta[i] <= chapter.shown_beta;
      return within && bulk && (i === 0 || x > xs[i - 1]) ? [i] : [];
    });
    const scale = fields.y.value === "accuracy" ? 100 : 1;
    return [rows.map((i) => xs[i]), rows.map((i) => (ys[i] === null ? null : scale * ys[i]))];
  }

  /** Slopes run away at both ends: an axis for all but their last hundredths of each curve. */
  function focus(series) {
    const [lows, highs] = [[], []];
    for (const [xs, ys] of series) {
      const steps = ys
        .map((y, i) => [y, i ? xs[i] - xs[i - 1] : 0])
        .filter(([y]) => y !== null)
        .sort(([a], [b]) => a - b);
      const length = steps.reduce((sum, [, step]) => sum + step, 0);
      let done = 0;
      const bulk = steps.filter(([, step]) => {
        done += step;
        return done >= 0.04 * length && done <= 0.96 * length;
      });
      if (bulk.length) lows.push(bulk[0][0]);
      if (bulk.length) highs.push(bulk[bulk.length - 1][0]);
    }
    if (!lows.length) return null;
    const [low, high] = [Math.min(...lows), Math.max(...highs)];
    const margin = 0.3 * (high - low) || 1;
    return [low - margin, high + margin];
  }

  let plot = null;
  let leave = () => {};
  let turn = 0;

  async function draw() {
    remember();
    fields.curve.parentElement.hidden = fields.y.value === "accuracy"; // there is no choice
    const now = (turn += 1);
    const shown = chosen();
    const results = await Promise.allSettled(shown.map((i) => load(chapters[i][0])));
    if (now !== turn) return; // something else was chosen meanwhile
    const got = shown.flatMap((i, at) =>
      results[at].status === "fulfilled" ? [{ i, chapter: results[at].value }] : []
    );
    leave();
    plot?.destroy();
    plot = null;
    said.textContent = words(shown, got);
    if (got.length) {
      const series = got.map(({ chapter }) => points(chapter));
      const text = (name) => fields[name].selectedOptions[0].textContent;
      const y = fields.y.value;
      const range = y === "slope" ? focus(series) : y === "accuracy" ? [0, 100] : null;
      plot = new uPlot(
        {
          width: plotted.clientWidth || 600,
          height: HEIGHT,
          scales: { x: { time: false }, y: range ? { range } : {} },
          axes: [
            axis(text("x")),
            axis(y === "slope" ? `dF/d${fields.x.value === "tau" ? "τ" : "β"}` : text("y"), { size: 56 }),
          ],
          legend: { markers: { dash: (_, at) => BORDERS[got[at - 1].i % 3] } },
          cursor: { y: false, drag: { x: true, y: false } },
          series: [
            { label: fields.x.value === "tau" ? "τ" : "β", value: (_, v) => significant(v, 4) },
            ...got.map(({ i, chapter }) => ({
              label: chapter.title,
              stroke: look(i).color,
              dash: look(i).dash,
              width: 2,
              points: { show: method() === "full", size: 5 },
              value: (_, v) => significant(v, 4),
            })),
          ],
        },
        uPlot.join(series),
        plotted
      );
      leave = attend(plot, plotted, HEIGHT);
    }
    if (table.open) fill(got);
    table.ontoggle = () => fill(got);
  }

  function words(shown, got) {
    if (!shown.length) return "Choose a chapter to see its curve.";
    const missing = shown.filter((i) => !got.some((one) => one.i === i));
    if (missing.length) return `No data of ${missing.map((i) => chapters[i][1]).join(", ")}.`;
    return (
      "The first seed of each chapter; the address of this page keeps what is chosen. Drag along the " +
      "axis to enlarge a part, double-click to go back."
    );
  }

  /** A table for each chapter, of the thresholds of its full evaluation: there accuracy is known. */
  function fill(got) {
    table.querySelectorAll(".live-scroll").forEach((old) => old.remove());
    if (table.open) table.append(...got.map(rowsOf));
  }

  function rowsOf({ i, chapter }) {
    const x = fields.x.value;
    const [full, curve] = [chapter.full, chapter[method()]];
    const heads = ["τ", "β", "F", x === "tau" ? "dF/dτ" : "dF/dβ", "accuracy"];
    const rows = full.tau.map((tau, k) => {
      const at = curve === full ? k : curve.tau.indexOf(tau);
      const cells = [
        sparsity(curve.beta[at]), significant(curve.free_energy[at], 4),
        significant(curve[`dF_d${x}`][at], 3), percent(full.accuracy[k]),
      ];
      return element(
        "tr", {},
        element("th", { scope: "row" }, significant(tau, 4)),
        ...cells.map((text, n) => element("td", { "data-head": heads[n + 1] }, text))
      );
    });
    const head = heads.map((text) => element("th", { scope: "col" }, text));
    const csv = element("a", { href: address(`records/${known[i]}/curves.csv`) }, "curves.csv");
    const which = curve === full ? "full evaluation" : "renormalized, accuracy from full evaluation";
    return element(
      "div",
      { className: "live-scroll", tabIndex: 0, role: "region", "aria-label": chapter.title },
      element(
        "table", { className: "shown" },
        element("caption", {}, `${chapter.title}: ${which}. Every threshold and digit: `, csv),
        element("thead", {}, element("tr", {}, ...head)),
        element("tbody", {}, ...rows)
      )
    );
  }

  /** Keep what is chosen in the address, beside whatever else is there. */
  function remember() {
    const parts = new URLSearchParams(location.search);
    parts.set("curves", chosen().map((i) => known[i]).join(" "));
    for (const [name, select] of Object.entries(fields)) parts.set(name, select.value);
    if (`?${parts}` === location.search) return;
    try {
      history.replaceState(history.state, "", `?${parts}${location.hash}`);
    } catch {
      // Some browsers let no page that is a file change its address. It works without.
    }
  }

  none.addEventListener("click", () => {
    for (const { field } of boxes) field.checked = false;
    draw();
  });
  box.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
  box.querySelector("form").addEventListener("input", draw);
  draw();
})();
