// Keeps the page current: on a message, fetches this page again and swaps the parts that differ.
// Content is only ever made by the server; nothing here builds HTML from data.
"use strict";

(() => {
  const badge = document.getElementById("live");
  const text = document.getElementById("live-text");
  if (!badge || !window.EventSource) return;

  const LEAST_GAP = 500, MOST_GAP = 15000; // ms between two fetches: thirty times what one takes
  let gap = LEAST_GAP;
  let busy = false, wanted = false, over = false, last = 0, timer = 0;

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
      for (const open of part.querySelectorAll("details[id]")) { // what somebody opened stays open
        const again = other.querySelector(`#${CSS.escape(open.id)}`);
        if (again) again.open = open.open;
      }
      if (other.isEqualNode(part)) continue;
      for (const ticked of part.querySelectorAll("input[type=checkbox][id]:checked")) { // and what was ticked, ticked
        const again = other.querySelector(`#${CSS.escape(ticked.id)}`);
        if (again) again.checked = true;
      }
      part.replaceWith(document.adoptNode(other));
    }
    const again = focused && document.getElementById(focused);
    if (again && again !== document.activeElement) again.focus({ preventScroll: true });
    const stamp = document.querySelector("footer time"), now = fresh.querySelector("footer time");
    if (stamp && now) stamp.replaceWith(document.adoptNode(now));
  };

  const refresh = async () => {
    if (over) return;
    if (busy || document.hidden) { wanted = true; return; }
    const wait = last + gap - Date.now();
    if (wait > 0) { clearTimeout(timer); timer = setTimeout(refresh, wait); return; }
    busy = true; wanted = false;
    const began = Date.now();
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html", "X-Refresh": "1" } });
      if (answer.redirected && new URL(answer.url).pathname === "/login") {
        source.close();
        say("lost", "✖", "your session is over: reload to log in");
        over = true;
      } else if (answer.ok) swap(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch {
      if (!over) say("lost", "✖", "connection lost: what you see is old");
    } finally {
      busy = false; last = Date.now();
      gap = Math.min(MOST_GAP, Math.max(LEAST_GAP, 30 * (last - began)));
      if (wanted && !document.hidden) refresh();
    }
  };

  const source = new EventSource("/live");
  source.onopen = () => { say("on", "●", "live"); refresh(); };
  source.onerror = () => { if (!over) say("lost", "✖", "connection lost: what you see is old"); };
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
