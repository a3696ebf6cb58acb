// A click on a figure shows it above the page, as wide as the window; Escape or a click closes it. Without
// this script the figure is a link to its file.
(() => {
  "use strict";

  /** The one window for all figures of a page, made when it is first asked for. */
  function window_() {
    const dialog = document.createElement("dialog");
    dialog.className = "enlarged";
    const close = document.createElement("button");
    close.type = "button";
    close.textContent = "Close";
    const image = document.createElement("img");
    dialog.append(close, image);
    dialog.addEventListener("click", () => dialog.close());
    document.body.append(dialog);
    return { dialog, image };
  }

  let made = null;
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a.enlarge");
    // A click for a new tab or window is a click on a link.
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    made ??= window_();
    const shown = link.querySelector("img");
    const number = link.closest("figure")?.querySelector(".caption-number")?.textContent.trim();
    made.dialog.setAttribute("aria-label", number ? `${number}, enlarged` : "Figure, enlarged");
    made.image.alt = shown.alt;
    made.image.src = link.href;
    made.dialog.showModal();
    made.dialog.scrollTo(0, 0);
  });
})();
