// The cursor of a chapter's page: one threshold, shown in every panel of the figure (figure.js), in a
// histogram and in numbers. Without this script the page has its figure and its table. All that is shown was
// measured: the cursor steps from threshold to threshold.
(() => {
  "use strict";
  const { attend, axis, color, element, follow, load, nearest, panels } = thermo;
  const { percent, significant, sparsity } = thermo;

  /** The sizes of the activations, of which those below the cursor are shaded. */
  function histogram(chapter, box) {
    const { edges, counts } = chapter.histogram;
    const heights = counts.map((n, i) => n / (chapter.total * (edges[i + 1] - edges[i])));
    const end = edges[edges.length - 1];
    const height = 200;
    const plot = new uPlot(
      {
        width: box.clientWidth || 600,
        height,
        cursor: { show: false },
        legend: { show: false },
        scales: { x: { time: false, range: [0, end] }, y: { range: (_, __, top) => [0, 1.05 * top] } },
        axes: [axis("size |a| of an activation"), axis("density", { size: 56 })],
        series: [
          {},
          {
            paths: uPlot.paths.stepped({ align: 1 }),
            points: { show: false },
            stroke: () => color("--live-rfe"),
            fill: () => `${color("--live-rfe")}44`,
          },
        ],
      },
      [edges, [...heights, heights[heights.length - 1]]],
      box
    );
    attend(plot, box, height);
    const shade = element("div", { className: "live-shade" });
    plot.over.append(shade);
    const show = (at) => {
      const tau = chapter.renormalized.tau[at.renormalized];
      shade.style.width = `${Math.min(100, (100 * tau) / end)}%`;
    };
    const find = (event) => {
      const { left, width } = plot.over.getBoundingClientRect();
      return nearest(chapter.renormalized.tau, (end * (event.clientX - left)) / width);
    };
    return { stage: plot.over, show, find };
  }

  /** The nearest threshold of the full evaluation, if there is one about. */
  function measured({ full }, tau) {
    const [before, last] = full.tau.slice(-2);
    const beyond = last === undefined ? before : last + (last - before) / 2;
    return tau > beyond * (1 + 1e-9) ? null : nearest(full.tau, tau);
  }

  /** What the record says at a threshold: a list of cards, each a heading and named values. */
  function cards(chapter, { renormalized: index, full: i }) {
    const { full, renormalized, samples, total, seeds } = chapter;
    const each = samples ? total / samples : total;
    const of = samples ? "nonzero activations per example" : "nonzero activations";
    const range = (curve, i, name, text) => {
      const [low, high] = [curve.low?.[name][i], curve.high?.[name][i]];
      if (low === undefined || low === null || high === null) return "";
      return `${text(low)} to ${text(high)} over ${seeds.length} seeds`;
    };
    const seed = seeds.length > 1 ? `, seed ${seeds[0]}` : "";
    const energy = (value) => (value === null ? "undefined" : significant(value, 4));
    const both = (curve, i) => [
      ["β", "beta", sparsity(curve.beta[i]), range(curve, i, "beta", sparsity)],
      [
        "F", "free_energy", energy(curve.free_energy[i]),
        curve.free_energy[i] === null ? "nothing is left" : range(curve, i, "free_energy", energy),
      ],
    ];
    const pruned = (beta) => [
      "pruned", "pruned", percent(beta),
      `${count(beta * each)} of ${count(each)} ${of}`,
    ];
    const count = (number) =>
      number < 10 ? significant(number, 2) : Math.round(number).toLocaleString("en");

    const fast = {
      name: "renormalized",
      short: "RFE",
      head: `Renormalized (RFE) at τ = ${significant(renormalized.tau[index], 4)}${seed}`,
      rows: [...both(renormalized, index), pruned(renormalized.beta[index])],
    };
    if (i === null) {
      const last = significant(full.tau[full.tau.length - 1], 4);
      const head = `Full evaluation (FE): none beyond τ = ${last}`;
      return [fast, { name: "full", short: `FE ends at τ = ${last}`, head, rows: [] }];
    }
    const exact = full.tau[i] === renormalized.tau[index];
    const slow = {
      name: "full",
      short: exact ? "FE" : `FE at τ = ${significant(full.tau[i], 4)}`,
      head:
        `Full evaluation (FE) at τ = ${significant(full.tau[i], 4)}` +
        `${exact ? "" : ", the nearest measured"}${seed}`,
      rows: [
        ["accuracy", "accuracy", percent(full.accuracy[i]), [
          chapter.baseline === null ? "" : `unpruned ${percent(chapter.baseline)}`,
          range(full, i, "accuracy", percent),
        ].filter(Boolean).join("; ")],
        ...both(full, i),
        pruned(full.beta[i]),
      ],
    };
    if (full.blocks) {
      const [low, high] = [percent(full.blocks.low[i]), percent(full.blocks.high[i])];
      slow.rows.push([
        "by block", "blocks", `${low} to ${high}`, `in ${full.blocks.number} blocks of examples`,
      ]);
    }
    return [fast, slow];
  }

  const drawn = ({ name, head, rows }) =>
    element(
      "div", { className: `live-card live-${name}`, role: "group", "aria-label": head },
      element("p", { className: "live-head" }, head),
      element("dl", {}, ...rows.flatMap(([label, what, value, more]) => [
        element("dt", {}, label),
        element("dd", { "data-what": what }, element("b", {}, value), element("small", {}, more)),
      ]))
    );

  /** The same in a line, for below the figure. */
  const brief = (all) =>
    all
      .map(({ short, rows }) =>
        [short, rows.slice(0, 3)
          .filter(([, what]) => what !== "pruned")
          .map(([label, , value]) => `${label} ${value}`)
          .join(", ")].filter(Boolean).join(": ")
      )
      .join(" · ");

  const spoken = (all) =>
    all
      .map(({ head, rows }) =>
        [head, ...rows.map(([label, , value]) => `${label} ${value}`)].join(", ")
      )
      .join(". ");

  function begin(block, chapter) {
    const { tau, beta } = chapter.renormalized;
    const first = chapter.marks.length ? nearest(tau, chapter.marks[0].tau) : tau.length >> 1;
    const id = "live-tau";
    const slider = element("input", {
      type: "range", id, min: 0, max: tau.length - 1, step: 1, value: first,
    });
    const shown = element("output", { className: "live-tau", htmlFor: id });
    const line = element("p", { className: "live-brief" });
    const jumps = chapter.marks.map((mark) => {
      const button = element("button", { type: "button" }, mark.label);
      button.addEventListener("click", () => cursor.pin(nearest(tau, mark.tau)));
      return button;
    });
    const readout = element("div", { className: "live-cards" });
    const said = element("p", { className: "live-said", "aria-live": "polite" });
    const plot = element("div", { className: "live-plot", role: "img" });
    const { beyond, edges } = chapter.histogram;
    const end = significant(edges[edges.length - 1], 4);
    const caption = element(
      "p", { className: "live-caption" },
      "How large the activations are in the unpruned network; what is pruned is shaded.",
      beyond ? ` ${percent(beyond / chapter.total)} of them lie beyond ${end}.` : "",
      chapter.seeds.length > 1 ? ` Seed ${chapter.seeds[0]}.` : "",
      chapter.synthetic ? " Synthetic data, not a reproduction." : ""
    );
    const controls = element(
      "div", { className: "live-controls" },
      element("label", { htmlFor: id }, "Move the threshold"), slider, shown, line,
      element("div", { className: "live-marks" }, ...jumps)
    );
    block.prepend(element("div", { className: "live-cursor" }, readout, said, plot, caption));

    const parts = [panels(chapter), histogram(chapter, plot)].filter(Boolean);
    // Beside the panels: what stands between the figure and this block would part hand and eye.
    const [{ under }] = parts;
    if (under) under(controls);
    else block.prepend(controls);
    let at = null;
    let pinned = first;
    let heard = first;
    let later = null;
    function show(i) {
      if (at?.renormalized === i) return;
      at = { renormalized: i, full: measured(chapter, tau[i]) };
      const all = cards(chapter, at);
      parts.forEach((part) => part.show(at));
      readout.replaceChildren(...all.map(drawn));
      slider.value = i;
      const text = `τ = ${significant(tau[i], 4)}`;
      shown.textContent = text;
      line.textContent = brief(all);
      slider.setAttribute("aria-valuetext", `${text}, β = ${sparsity(beta[i])}`);
      plot.setAttribute(
        "aria-label", `Histogram of the activations, ${percent(beta[i])} of them below ${text}`
      );
      // Said once the cursor rests elsewhere: nobody can listen to every step of a drag.
      clearTimeout(later);
      if (i === heard) return;
      later = setTimeout(() => {
        heard = i;
        said.textContent = spoken(all);
      }, 250);
    }
    const cursor = {
      show,
      pinned: () => pinned,
      back: () => show(pinned),
      pin(i) {
        pinned = i;
        show(i);
      },
    };
    slider.addEventListener("input", () => cursor.pin(Number(slider.value)));
    parts.forEach((part) => follow(part, cursor));
    show(first);
  }

  for (const block of document.querySelectorAll(".live[data-chapter]")) {
    // Where the data are missing the page stays as it is: figure and table.
    load(block.dataset.chapter).then((chapter) => begin(block, chapter), () => {});
  }
})();
