// What the consoles do in the browser: keys, live updates, confirmations, diffs, the theme. No framework:
// htmx fetches parts of pages, this wires the rest by data-* attributes. Nothing is evaluated from text.
(() => {
  "use strict";
  const $ = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // Notices: what went wrong or was done, told for some seconds and to screen readers.
  function notify(text, kind = "done") {
    const place = $("#notices");
    if (!place) return;
    const notice = document.createElement("p");
    notice.className = `notice ${kind}`;
    notice.textContent = text;
    place.append(notice);
    setTimeout(() => notice.remove(), kind === "error" ? 12000 : 5000);
  }
  document.addEventListener("htmx:responseError", (event) => {
    const parsed = new DOMParser().parseFromString(event.detail.xhr.responseText || "", "text/html");
    notify(parsed.body.textContent.trim() || "The server could not do that.", "error");
  });
  document.addEventListener("htmx:sendError", () => notify("The server does not answer. Nothing was lost; try again.", "error"));
  document.addEventListener("notice", (event) => notify(event.detail.value ?? event.detail.text ?? "", event.detail.kind));

  // Theme: the system's, or the person's choice, kept in a cookie so that pages come in it.
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-switch]")) return;
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    document.cookie = `understudy_theme=${root.dataset.theme}; path=/console; max-age=31536000; samesite=lax`;
  });

  // What is needed elsewhere: data-copy="id" puts that element's text on the clipboard.
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const shown = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(shown.textContent);
      notify("Copied.");
    } catch { // no permission, or the page came without TLS: leave it selected
      getSelection().selectAllChildren(shown);
      notify("Selected; copy it with Ctrl C.");
    }
  });

  // What somebody has selected in one element, as a line of a field: data-take-from="id" data-take-into="id".
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-take-from]");
    if (!button) return;
    const from = document.getElementById(button.dataset.takeFrom), into = document.getElementById(button.dataset.takeInto);
    const chosen = getSelection();
    const text = chosen.toString().replace(/\s+/g, " ").trim();
    if (!text || !from.contains(chosen.anchorNode) || !from.contains(chosen.focusNode)) {
      notify("Select some words in the answer first.", "error");
      return;
    }
    into.value = [into.value.trimEnd(), text].filter(Boolean).join("\n");
  });
  // A button takes the selection away when it gets the focus; this one needs it.
  document.addEventListener("mousedown", (event) => { if (event.target.closest("[data-take-from]")) event.preventDefault(); });

  // A choice that leads to another page: data-navigate="/console/{}/inbox".
  document.addEventListener("change", (event) => {
    const to = event.target.dataset?.navigate;
    if (to) location.assign(to.replace("{}", encodeURIComponent(event.target.value)));
  });

  // Confirmations name what will change: data-confirm on a form or button.
  function confirmed(text, label) {
    return new Promise((resolve) => {
      const dialog = document.createElement("dialog");
      const question = document.createElement("p");
      question.textContent = text;
      const buttons = document.createElement("div");
      buttons.className = "row end";
      const no = Object.assign(document.createElement("button"), { type: "button", textContent: "Cancel" });
      const yes = Object.assign(document.createElement("button"), { type: "button", textContent: label || "Go ahead", className: "primary" });
      no.onclick = () => dialog.close("no");
      yes.onclick = () => dialog.close("yes");
      buttons.append(no, yes);
      dialog.append(question, buttons);
      dialog.setAttribute("aria-label", "Please confirm");
      dialog.onclose = () => { dialog.remove(); resolve(dialog.returnValue === "yes"); };
      document.body.append(dialog);
      dialog.showModal();
      yes.focus();
    });
  }
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.dataset.confirm || form.dataset.confirmed) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const submitter = event.submitter;
    if (await confirmed(form.dataset.confirm, form.dataset.confirmLabel)) {
      form.dataset.confirmed = "yes";
      form.requestSubmit(submitter);
      delete form.dataset.confirmed;
    }
  }, true);

  // Keys: data-key="a" on a button, link or field. Ignored while somebody types.
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]");
    const form = event.target.closest("form") ?? $("details[open] form:has([data-enter])");
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && form) {
      event.preventDefault();
      form.requestSubmit($("[data-enter]", form) || undefined);
      return;
    }
    // The part of the page that keys mean first: the answer somebody is at.
    const scope = event.target.closest("[data-scope]");
    if (event.key === "Escape" && typing) { typing.blur(); scope?.focus(); return; }
    if (event.key === "Escape") { all("[data-scope] details[open]").forEach((each) => { each.open = false; }); return; }
    const digit = event.altKey && event.code.startsWith("Digit") ? event.code.slice(5) : null;
    if ((typing && !digit) || event.ctrlKey || event.metaKey || (event.altKey && !digit) || $("dialog[open]")) return;
    const wanted = digit ?? event.key;
    const fitting = all("[data-key]").filter((each) => each.dataset.key === wanted && each.checkVisibility() && !each.disabled);
    const target = fitting.find((each) => scope?.contains(each)) ?? fitting[0];
    if (!target) return;
    event.preventDefault();
    if (target.matches("input:not([type=checkbox]):not([type=radio]), textarea, select")) target.focus();
    else if (target.matches("details")) { target.open = !target.open; if (!target.open) scope?.focus(); }
    else target.click();
  });
  // What is opened is ready to be typed into, behind what stands there.
  document.addEventListener("toggle", (event) => {
    const field = event.target.open && $("[data-first]", event.target);
    if (!field) return;
    field.focus();
    field.setSelectionRange(field.value.length, field.value.length);
  }, true);

  // Lists: j and k move through data-list, Enter opens.
  document.addEventListener("keydown", (event) => {
    if (!["j", "k"].includes(event.key) || event.target.closest("input, textarea, select")) return;
    const items = all("[data-list] .item");
    if (!items.length) return;
    const at = items.indexOf(document.activeElement.closest(".item"));
    const next = items[Math.min(items.length - 1, Math.max(0, at + (event.key === "j" ? 1 : -1)))];
    next.focus();
    event.preventDefault();
  });

  // Live: data-live="/console/…/live?seen=…" listens for server-sent events; htmx elements with
  // hx-trigger="live from:body" load themselves anew when something changed. Browsers allow few connections
  // to a host, so only a page that is seen keeps one; what happened meanwhile is told when it is seen again.
  let source, timer, pauseSeconds = 0;
  // htmx's throttle drops what comes too soon, for good. So it is told again when the throttles have passed.
  let again = [];
  const live = () => document.body.dispatchEvent(new CustomEvent("live"));
  function tell() {
    again.forEach(clearTimeout);
    live();
    again = [1500, 5500].map((pauseMs) => setTimeout(live, pauseMs));
  }
  function listen() {
    [timer, ...again].forEach(clearTimeout);
    source?.close();
    const element = $("[data-live]");
    if (!element || document.hidden) return;
    source = new EventSource(element.dataset.live);
    source.addEventListener("open", () => { pauseSeconds = 0; });
    source.addEventListener("changed", (event) => {
      const from = $("[data-live]");
      if (from) from.dataset.live = from.dataset.live.replace(/seen=[^&]*/, `seen=${encodeURIComponent(event.lastEventId)}`);
      tell();
    });
    // A browser gives up for good when a proxy answers in the service's place.
    source.addEventListener("error", () => {
      source.close();
      pauseSeconds = Math.min(60, pauseSeconds * 2 || 1);
      timer = setTimeout(listen, pauseSeconds * (500 + 500 * Math.random()));
    });
  }
  document.addEventListener("visibilitychange", listen);
  addEventListener("pagehide", () => { clearTimeout(timer); source?.close(); });
  addEventListener("pageshow", (event) => { if (event.persisted) listen(); });

  // A part in which somebody has opened a form is not fetched anew under their hands.
  document.addEventListener("htmx:beforeRequest", (event) => {
    const part = event.detail.elt;
    if (part.matches("[data-patient]") && $("details[open]", part)) event.preventDefault();
  });

  // Diffs: <textarea data-diff-of="id" data-diff-into="id"> shows what was changed, word by word, as one types.
  function pieces(text) { return text.match(/\s+|[^\s]+/g) || []; }
  function diff(before, after) {
    const a = pieces(before), b = pieces(after);
    const table = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
    for (let i = a.length - 1; i >= 0; i--)
      for (let j = b.length - 1; j >= 0; j--)
        table[i][j] = a[i] === b[j] ? table[i + 1][j + 1] + 1 : Math.max(table[i + 1][j], table[i][j + 1]);
    const out = [];
    const put = (kind, text) => { const last = out.at(-1); if (last && last[0] === kind) last[1] += text; else out.push([kind, text]); };
    let i = 0, j = 0;
    while (i < a.length || j < b.length) {
      if (i < a.length && j < b.length && a[i] === b[j]) { put("", a[i]); i++; j++; }
      else if (j < b.length && (i === a.length || table[i][j + 1] > table[i + 1][j])) put("ins", b[j++]);
      else put("del", a[i++]);
    }
    return out;
  }
  function showDiff(field) {
    const before = document.getElementById(field.dataset.diffOf), into = document.getElementById(field.dataset.diffInto);
    if (!before || !into) return;
    const text = before.dataset.text ?? before.textContent;
    into.replaceChildren(...diff(text, field.value).map(([kind, piece]) => {
      const node = document.createElement(kind || "span");
      node.textContent = piece;
      return node;
    }));
    into.hidden = field.value.trim() === text.trim();
  }
  document.addEventListener("input", (event) => { if (event.target.dataset?.diffOf) showDiff(event.target); });

  function ready(root) {
    all("textarea[data-diff-of]", root).forEach(showDiff);
    $("[data-focus]", root)?.focus();
  }
  document.addEventListener("htmx:load", (event) => ready(event.target));
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", () => { listen(); ready(document); });
  else { listen(); ready(document); }
})();
