// Takes the one-time code out of the address (it is after "#", so that it reaches no log) and hands it in.
"use strict";

(() => {
  const form = document.getElementById("enter"), field = document.getElementById("code");
  const code = decodeURIComponent(location.hash.slice(1));
  if (!form || !code) return;
  history.replaceState(null, "", location.pathname);
  if (form.dataset.known === "yes") { location.replace("/"); return; }
  field.value = code;
  form.requestSubmit();
})();
