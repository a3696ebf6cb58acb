// Filters the table of claims. Without this script the table is complete and readable.
(() => {
  const box = document.getElementById("claims-table");
  if (!box) return;
  const rows = [...box.querySelectorAll("tbody tr")];
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const SEVERAL = "several chapters";

  const chaptersOf = (row) => row.dataset.chapters.split(" ");
  const distinct = (values) => [...new Set(values)];
  // What rows say themselves; where one says nothing, as of the set-up of what was not run, it is
  // no choice.
  const OWN = ["outcome", "setup", "placebo", "kind"];
  const choices = {
    ...Object.fromEntries(
      OWN.map((name) => [name, distinct(rows.map((row) => row.dataset[name])).filter(Boolean).sort()])
    ),
    chapter: [SEVERAL, ...distinct(rows.map(chaptersOf).filter((names) => names.length === 1).flat())],
  };

  // Choices are shown in the words that the rows use for them.
  function wording(name, value) {
    const part = { kind: ".claims-kind span", chapter: ".claims-kind > a" }[name];
    const row = rows.find(({ dataset }) => value === (name === "kind" ? dataset.kind : dataset.chapters));
    return (part && row?.querySelector(part).textContent) || value;
  }

  const form = document.createElement("form");
  form.className = "claims-filter";
  form.setAttribute("role", "search");
  form.setAttribute("aria-label", "Filter the claims");
  const fields = {};
  const LABELS = { setup: "set-up", placebo: "a placebo holds too" };

  function labelled(name, field) {
    const label = document.createElement("label");
    label.append(LABELS[name] || name, field);
    fields[name] = field;
    form.append(label);
  }

  const text = document.createElement("input");
  text.type = "search";
  text.placeholder = "words in any order";
  labelled("text", text);
  for (const [name, values] of Object.entries(choices)) {
    const select = document.createElement("select");
    select.append(new Option("all", ""));
    for (const value of values) select.append(new Option(wording(name, value), value));
    labelled(name, select);
  }
  const clear = document.createElement("button");
  clear.type = "button";
  clear.textContent = "show all";
  const shown = document.createElement("output");
  shown.setAttribute("aria-live", "polite");
  form.append(clear, shown);
  box.before(form);

  function fits(row, index, words) {
    const { chapter } = fields;
    const names = chaptersOf(row);
    return (
      OWN.every((name) => !fields[name].value || row.dataset[name] === fields[name].value) &&
      (!chapter.value ||
        (chapter.value === SEVERAL ? names.length > 1 : names.includes(chapter.value))) &&
      words.every((word) => texts[index].includes(word))
    );
  }

  function apply() {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    let number = 0;
    rows.forEach((row, index) => {
      row.hidden = !fits(row, index, words);
      number += !row.hidden;
    });
    shown.textContent = `${number} of ${rows.length} claims`;
  }

  // A filter can be linked to: claims.html?outcome=holds&setup=same&kind=speed
  const query = new URLSearchParams(location.search);
  for (const [name, field] of Object.entries(fields)) {
    if (query.has(name)) field.value = query.get(name);
    // A choice that is not there, of an outcome no claim has, would leave the list blank.
    if (field.selectedIndex === -1) field.value = "";
  }
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  clear.addEventListener("click", () => {
    for (const field of Object.values(fields)) field.value = "";
    apply();
    text.focus();
  });
  apply();
})();
