// Chooses rows of the table of claims. Without this script the table is complete and readable.
//
// What is chosen stands in the address, claims.html?chapter=mlp-cifar10&outcome=fails#claims-table, so it
// can be linked to, survives a reload, and the back button undoes it. A browser that lets no script
// change the query of a file gets it behind the hash instead: claims.html#claims-table?outcome=fails
(() => {
  const ledger = document.getElementById("claims-table");
  if (!ledger) return;
  const rows = [...ledger.querySelectorAll("tbody tr")];
  const SEVERAL = "several chapters";

  const listed = (text, mark) => text.split(mark).filter(Boolean);
  const chaptersOf = (row) => listed(row.dataset.chapters, " ");
  const subjectsOf = (row) => listed(row.dataset.about, ";");
  const distinct = (values) => [...new Set(values)];
  // What rows say in one word; where one says nothing, as of the set-up of what was not run, it is
  // no choice.
  const OWN = ["outcome", "setup", "placebo", "kind"];
  const choices = {
    about: distinct(rows.flatMap(subjectsOf)).sort(),
    chapter: [SEVERAL, ...distinct(rows.map(chaptersOf).filter((names) => names.length === 1).flat())],
    ...Object.fromEntries(
      OWN.map((name) => [name, distinct(rows.map((row) => row.dataset[name])).filter(Boolean).sort()])
    ),
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
  const LABELS = { about: "subject", setup: "set-up", placebo: "a placebo holds too" };

  function labelled(name, field) {
    const label = document.createElement("label");
    label.append(LABELS[name] || name, field);
    fields[name] = field;
    form.append(label);
  }

  for (const [name, values] of Object.entries(choices)) {
    const select = document.createElement("select");
    select.append(new Option("all", ""));
    for (const value of values) select.append(new Option(wording(name, value), value));
    labelled(name, select);
  }
  const text = document.createElement("input");
  text.type = "search";
  text.placeholder = "words in any order";
  labelled("text", text);
  const clear = document.createElement("button");
  clear.type = "button";
  clear.textContent = "show all";
  const shown = document.createElement("output");
  shown.setAttribute("aria-live", "polite");
  form.append(clear, shown);
  ledger.prepend(form);

  let texts = null;
  function says(row, index, words) {
    texts ??= rows.map((each) => each.textContent.toLowerCase());
    return words.every((word) => texts[index].includes(word));
  }

  function fits(row, index, words) {
    const { about, chapter } = fields;
    const names = chaptersOf(row);
    return (
      OWN.every((name) => !fields[name].value || row.dataset[name] === fields[name].value) &&
      (!about.value || subjectsOf(row).includes(about.value)) &&
      (!chapter.value ||
        (chapter.value === SEVERAL ? names.length > 1 : names.includes(chapter.value))) &&
      (!words.length || says(row, index, words))
    );
  }

  function apply() {
    const words = listed(text.value.toLowerCase(), /\s+/);
    let number = 0;
    rows.forEach((row, index) => {
      row.hidden = !fits(row, index, words);
      number += !row.hidden;
    });
    shown.textContent = `${number} of ${rows.length} claims`;
  }

  // From the address to the fields; whether it chooses anything.
  function read() {
    const [, behind] = location.hash.split("?");
    const query = new URLSearchParams(behind ?? location.search);
    for (const [name, field] of Object.entries(fields)) {
      field.value = query.get(name) ?? "";
      // A choice that is not there, of an outcome no claim has, would leave the list blank.
      if (field.selectedIndex === -1) field.value = "";
    }
    apply();
    // A link to a row shows it, whatever else is chosen.
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target?.hidden) empty();
    return Object.values(fields).some((field) => field.value);
  }

  function empty() {
    for (const field of Object.values(fields)) field.value = "";
    apply();
  }

  // From the fields to the address.
  function write(how) {
    const chosen = Object.entries(fields).map(([name, field]) => [name, field.value]);
    const query = new URLSearchParams(chosen.filter(([, value]) => value)).toString();
    try {
      history[how](null, "", `${location.pathname}${query && "?"}${query}#claims-table`);
    } catch {
      location.replace(`#claims-table?${query}`);
    }
  }

  const show = () => ledger.scrollIntoView();

  form.addEventListener("input", ({ target }) => {
    apply();
    write(target === text ? "replaceState" : "pushState");
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  clear.addEventListener("click", () => {
    empty();
    write("pushState");
    text.focus({ preventScroll: true });
  });
  // Links into the table, such as the numbers of the summary, need not load the page again.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (link.pathname !== location.pathname || !link.hash.startsWith("#claims-table")) return;
    try {
      history.pushState(null, "", link.href);
    } catch {
      return;
    }
    event.preventDefault();
    read();
    show();
  });
  window.addEventListener("popstate", read);

  const [arrival] = performance.getEntriesByType("navigation");
  if (read() && arrival?.type === "navigate" && !document.querySelector("tr:target")) {
    show();
    // Formulas above the table are set, and move it, until then.
    window.addEventListener("load", show);
  }
})();
