// Keeps the page current: on a message, fetches this page again and swaps the parts that differ.
// Content is only ever made by the server; nothing here builds HTML from data.
"use strict";

(() => {
  const badge = document.getElementById("live");
  const text = document.getElementById("live-text");
  if (!badge || !window.EventSource) return;

  const LEAST_GAP = 500; // ms between two fetches
  let busy = false, wanted = false, last = 0, timer = 0;

  const say = (state, symbol, words) => {
    if (badge.dataset.state === state && text.textContent === words) return;
    badge.dataset.state = state;
    badge.firstElementChild.textContent = symbol;
    text.textContent = words;
  };

  const swap = (fresh) => {
    const focused = document.activeElement && document.activeElement.id;
    for (const part of document.querySelectorAll("[data-live]")) {
      const other = fresh.getElementById(part.id);
      if (!other || other.isEqualNode(part)) continue;
      part.replaceWith(document.adoptNode(other));
    }
    const again = focused && document.getElementById(focused);
    if (again && again !== document.activeElement) again.focus({ preventScroll: true });
    const stamp = document.querySelector("footer time"), now = fresh.querySelector("footer time");
    if (stamp && now) stamp.replaceWith(document.adoptNode(now));
  };

  const refresh = async () => {
    if (busy || document.hidden) { wanted = true; return; }
    const wait = last + LEAST_GAP - Date.now();
    if (wait > 0) { clearTimeout(timer); timer = setTimeout(refresh, wait); return; }
    busy = true; wanted = false;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.ok) swap(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch {
      say("lost", "✖", "connection lost: what you see is old");
    } finally {
      busy = false; last = Date.now();
      if (wanted && !document.hidden) refresh();
    }
  };

  const source = new EventSource("/live");
  source.onopen = () => { say("on", "●", "live"); refresh(); };
  source.onerror = () => say("lost", "✖", "connection lost: what you see is old");
  source.onmessage = (message) => {
    let news = {};
    try { news = JSON.parse(message.data); } catch { return; }
    if (news.error) { say("lost", "▲", "the store can't be read now"); return; }
    say("on", "●", "live");
    refresh();
  };
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
  setInterval(refresh, 30000); // ages grow although nothing happens
})();
