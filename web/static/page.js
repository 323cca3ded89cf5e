// Small comforts for people with a mouse and a keyboard; nothing needs them. Builds no HTML from data.
"use strict";

(() => {
  // On a narrow screen the bar of pages scrolls: show where we are.
  const here = document.querySelector(".bar nav [aria-current]");
  if (here) here.scrollIntoView({ block: "nearest", inline: "center" });
  document.addEventListener("click", async (event) => {
    const button = event.target instanceof Element && event.target.closest("button[data-copy]");
    if (!button || !navigator.clipboard) return;
    const before = button.textContent;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "copied";
    } catch {
      button.textContent = "select it by hand";
    }
    setTimeout(() => { button.textContent = before; }, 1500);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    const inside = event.target instanceof Element && event.target.closest("input, textarea, select");
    const field = document.getElementById("search");
    if (inside || !field) return;
    event.preventDefault();
    field.focus();
  });
  document.addEventListener("change", (event) => {
    const select = event.target instanceof Element && event.target.closest("select[data-submit]");
    if (select) select.form.requestSubmit();
  });
})();
