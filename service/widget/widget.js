// The chat widget: one script tag, one shadow root, no dependency. Served without these lines. See docs/customers.md.
// Text from people and from the model only ever becomes text nodes; nothing here parses HTML.
(() => {
  "use strict";
  const script = document.currentScript || document.querySelector("script[data-site][src*='widget.js']");
  const site = script?.dataset.site;
  if (!site || document.getElementById("understudy-widget")) return;
  const asked = script.dataset;
  const api = new URL("/v1", script.src).href;

  const TEXTS = {
    en: {
      open: "Open chat", close: "Close chat", messages: "Messages", greeting: "Hello! How can I help?",
      placeholder: "Write a message", send: "Send", writing: "Writing an answer", you: "You",
      person: "Talk to a person", waiting: "You are in line for a person. You can keep writing.",
      ahead: "Ahead of you: {count}", next: "You are next.",
      hours: "Our people are back {time}.", reply: "Expect a reply within {hours} hours from then.",
      here: "{name} is here", closed: "This chat is closed. Write to open it again.",
      up: "Helpful", down: "Not helpful", why: "What was wrong? (optional)", thanks: "Thank you.",
      menu: "More", fresh: "New conversation", save: "Save transcript", end: "End chat",
      rate: "How was this chat?", worst: "poor", best: "great", cut: "This answer was not finished.",
      offline: "No connection. What you write is kept and will be sent when you are back online.",
      busy: "We cannot answer right now. Your message is kept and is sent again in {seconds} seconds.",
      retry: "Try now", failed: "That did not work. Please try again.",
      gone: "Your earlier conversation has ended. A new one begins here.", unread: "New messages: {count}",
    },
    de: {
      open: "Chat öffnen", close: "Chat schließen", messages: "Nachrichten", greeting: "Hallo! Wie kann ich helfen?",
      placeholder: "Nachricht schreiben", send: "Senden", writing: "Antwort wird geschrieben", you: "Sie",
      person: "Mit einem Menschen sprechen", waiting: "Sie sind in der Warteschlange. Schreiben Sie gern weiter.",
      ahead: "Vor Ihnen: {count}", next: "Sie sind als Nächstes dran.",
      hours: "Wir sind wieder da: {time}.", reply: "Von da an erhalten Sie innerhalb von {hours} Stunden eine Antwort.",
      here: "{name} ist da", closed: "Dieser Chat ist beendet. Schreiben Sie, um ihn wieder zu öffnen.",
      up: "Hilfreich", down: "Nicht hilfreich", why: "Was war falsch? (freiwillig)", thanks: "Danke.",
      menu: "Mehr", fresh: "Neues Gespräch", save: "Verlauf speichern", end: "Chat beenden",
      rate: "Wie war dieser Chat?", worst: "schlecht", best: "sehr gut", cut: "Diese Antwort blieb unvollständig.",
      offline: "Keine Verbindung. Was Sie schreiben, bleibt gespeichert und wird gesendet, sobald Sie online sind.",
      busy: "Gerade ist keine Antwort möglich. Ihre Nachricht ist gespeichert und wird in {seconds} Sekunden erneut gesendet.",
      retry: "Jetzt versuchen", failed: "Das hat nicht geklappt. Bitte noch einmal versuchen.",
      gone: "Ihr früheres Gespräch ist beendet. Hier beginnt ein neues.", unread: "Neue Nachrichten: {count}",
    },
    es: {
      open: "Abrir chat", close: "Cerrar chat", messages: "Mensajes", greeting: "¡Hola! ¿En qué puedo ayudar?",
      placeholder: "Escribe un mensaje", send: "Enviar", writing: "Escribiendo una respuesta", you: "Tú",
      person: "Hablar con una persona", waiting: "Estás en la cola. Puedes seguir escribiendo.",
      ahead: "Delante de ti: {count}", next: "Eres el siguiente.",
      hours: "Volvemos: {time}.", reply: "Desde entonces, recibirás respuesta en un plazo de {hours} horas.",
      here: "{name} está aquí", closed: "Este chat está cerrado. Escribe para abrirlo de nuevo.",
      up: "Útil", down: "No es útil", why: "¿Qué estaba mal? (opcional)", thanks: "Gracias.",
      menu: "Más", fresh: "Nueva conversación", save: "Guardar conversación", end: "Terminar chat",
      rate: "¿Qué tal este chat?", worst: "mal", best: "muy bien", cut: "Esta respuesta quedó incompleta.",
      offline: "Sin conexión. Lo que escribas se guarda y se enviará cuando vuelvas a estar en línea.",
      busy: "Ahora no podemos responder. Tu mensaje está guardado y se enviará de nuevo en {seconds} segundos.",
      retry: "Probar ahora", failed: "No ha funcionado. Inténtalo de nuevo.",
      gone: "Tu conversación anterior ha terminado. Aquí empieza otra.", unread: "Mensajes nuevos: {count}",
    },
    ar: {
      open: "فتح المحادثة", close: "إغلاق المحادثة", messages: "الرسائل", greeting: "مرحبًا! كيف يمكنني المساعدة؟",
      placeholder: "اكتب رسالة", send: "إرسال", writing: "جارٍ كتابة الرد", you: "أنت",
      person: "التحدث إلى شخص", waiting: "أنت في قائمة الانتظار. يمكنك متابعة الكتابة.",
      ahead: "قبلك في الانتظار: {count}", next: "أنت التالي.",
      hours: "سيعود فريقنا {time}.", reply: "ومنذ ذلك الوقت سيصلك الرد خلال {hours} ساعة.",
      here: "{name} معك الآن", closed: "هذه المحادثة مغلقة. اكتب لفتحها من جديد.",
      up: "مفيد", down: "غير مفيد", why: "ما الخطأ؟ (اختياري)", thanks: "شكرًا لك.",
      menu: "المزيد", fresh: "محادثة جديدة", save: "حفظ المحادثة", end: "إنهاء المحادثة",
      rate: "كيف كانت هذه المحادثة؟", worst: "سيئة", best: "ممتازة", cut: "لم يكتمل هذا الرد.",
      offline: "لا يوجد اتصال. ما تكتبه محفوظ وسيُرسل عند عودة الاتصال.",
      busy: "لا يمكننا الرد الآن. رسالتك محفوظة وستُرسل مجددًا خلال {seconds} ثانية.",
      retry: "حاول الآن", failed: "لم ينجح ذلك. حاول مرة أخرى.",
      gone: "انتهت محادثتك السابقة. تبدأ هنا محادثة جديدة.", unread: "رسائل جديدة: {count}",
    },
  };

  // Sizes are in px, so that a page's own root font size changes nothing. `!important` on :host wins over
  // the page's `!important`: between shadow and page, the cascade turns round for important rules.
  const STYLE = `
:host{all:initial!important;position:fixed!important;z-index:2147483647!important;inset:auto!important;bottom:0!important;display:block!important}
:host(.right){right:0!important}:host(.left){left:0!important}
*{box-sizing:border-box;margin:0}
[hidden]{display:none!important}
.root{--paper:#fff;--ink:#17202a;--soft:#59636e;--line:#e3e6ea;--wash:#f1f3f5;--alert:#fdf1dc;--alert-ink:#5f3d00;
  font:15px/1.5 system-ui,sans-serif;color:var(--ink)}
.root.dark{--paper:#171b20;--ink:#eceff2;--soft:#a5afba;--line:#323a43;--wash:#262c33;--alert:#3d2f10;--alert-ink:#ffdf9e;color-scheme:dark}
button,input,textarea{font:inherit;color:inherit;background:none;border:1px solid transparent;border-radius:10px;padding:0;letter-spacing:normal}
button{cursor:pointer}
:focus{outline:none}:focus-visible{outline:2px solid var(--ink);outline-offset:2px}
svg{display:block;width:20px;height:20px;fill:none;stroke:currentColor;stroke-width:2;stroke-linecap:round;stroke-linejoin:round}
.quiet{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.launcher{position:fixed;bottom:20px;width:58px;height:58px;border-radius:50%;display:grid;place-items:center;background:var(--brand);color:var(--on-brand);
  box-shadow:0 8px 28px rgb(0 0 0/.24),0 0 0 1px var(--line)}
.right .launcher,.right .panel{right:20px}.left .launcher,.left .panel{left:20px}
.launcher svg{width:30px;height:30px}
.badge{position:absolute;top:-3px;inset-inline-end:-3px;min-width:22px;height:22px;padding:0 6px;border-radius:11px;background:#c81e1e;color:#fff;font-size:13px;font-weight:600;line-height:22px;text-align:center}
.panel{position:fixed;bottom:92px;width:400px;height:min(660px,100vh - 112px);display:flex;flex-direction:column;overflow:hidden;background:var(--paper);
  border-radius:18px;box-shadow:0 8px 28px rgb(0 0 0/.24),0 0 0 1px var(--line);animation:rise .2s ease-out}
.head{position:relative;display:flex;align-items:center;gap:4px;padding:14px 12px 14px 20px;background:var(--brand);color:var(--on-brand)}
[dir=rtl] .head{padding:14px 20px 14px 12px}
.head div:first-child{flex:1;min-width:0}
h2{font-size:17px;line-height:1.3;font-weight:650;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.who{font-size:13px}.who:empty{display:none}.who:before{content:"";display:inline-block;width:8px;height:8px;border-radius:50%;background:#4ade80;margin-inline-end:6px}
.head button{width:38px;height:38px;display:grid;place-items:center}
.head [aria-expanded] svg{stroke-width:3.4}
.head :focus-visible,.fill:focus-visible{outline-color:var(--on-brand);outline-offset:-4px}
.menu{position:absolute;z-index:1;top:56px;inset-inline-end:12px;min-width:210px;padding:6px;background:var(--paper);color:var(--ink);border-radius:12px;box-shadow:0 8px 28px rgb(0 0 0/.24),0 0 0 1px var(--line)}
.head .menu button{display:block;width:100%;height:auto;padding:9px 12px;text-align:start;border-radius:8px}
.menu button:hover,.rate button:hover{background:var(--wash)}.head .menu :focus-visible{outline-color:var(--ink)}
.strip{padding:9px 20px;background:var(--wash);font-size:14px;border-bottom:1px solid var(--line)}.strip:empty{display:none}
.scroll{flex:1;min-height:0;overflow-y:auto;overscroll-behavior:contain;padding:20px 16px 12px}
.scroll:focus-visible{outline-offset:-2px}
.row{margin-bottom:14px;display:flex;flex-direction:column;align-items:flex-start}
.mine{align-items:flex-end}
.name{font-size:13px;font-weight:600;color:var(--soft);margin:0 4px 3px}
.said{max-width:86%;padding:10px 14px;border-radius:16px;background:var(--wash);overflow-wrap:anywhere;white-space:pre-wrap;border-end-start-radius:5px}
.mine .said{background:var(--brand);color:var(--on-brand);border-radius:16px;border-end-end-radius:5px}
.unsent .said{opacity:.75}
.agent .said{background:var(--paper);box-shadow:inset 0 0 0 1px var(--line)}
.said>*+*{margin-top:8px}
.said ul,.said ol{padding-inline-start:22px}
.said a{color:inherit}
code{font:13px/1.5 ui-monospace,monospace;background:var(--line);border-radius:5px;padding:1px 5px}
pre{overflow-x:auto;padding:10px 12px;border-radius:10px;background:var(--line)}pre code{padding:0;background:none}
.note{font-size:13px;color:var(--soft);margin:4px 4px 0}.mark{text-align:center;margin:18px 8px}
.thumbs{display:flex;gap:2px;margin-top:3px}
.thumbs button{width:32px;height:30px;display:grid;place-items:center;color:var(--soft)}.thumbs svg{width:17px;height:17px}
.thumbs button:hover{background:var(--wash);color:var(--ink)}
.thumbs [aria-pressed=true]{color:var(--ink);background:var(--wash)}.thumbs [aria-pressed=true] svg{fill:currentColor;fill-opacity:.28}
.why{display:flex;gap:6px;width:100%;margin-top:6px}
.why input{flex:1;min-width:0;height:42px;padding:0 12px;border-color:var(--soft);font-size:16px}
.fill{padding:8px 14px;background:var(--brand);color:var(--on-brand);font-weight:600}
.dots{display:flex;gap:5px;padding:5px 0}.dots i{width:7px;height:7px;border-radius:50%;background:var(--soft);animation:blink 1.2s infinite}
.dots i+i{animation-delay:.2s}.dots i+i+i{animation-delay:.4s}
.rate{border:1px solid var(--line);border-radius:14px;padding:16px;text-align:center;margin:6px 0 14px}
.rate p{font-weight:600}
.scale{display:flex;gap:6px;justify-content:center;margin:10px 0 2px}
.scale button{width:44px;height:44px;border-color:var(--soft)}
.scale [aria-pressed=true]{background:var(--brand);color:var(--on-brand)}
.ends{display:flex;justify-content:space-between;font-size:13px;color:var(--soft);max-width:250px;margin:0 auto 12px}
.notice{display:flex;gap:10px;align-items:center;padding:10px 16px;background:var(--alert);color:var(--alert-ink);font-size:14px}
.notice button{flex:none;padding:5px 10px;border-color:currentColor;font-weight:600}
form.write{display:flex;align-items:flex-end;gap:8px;padding:12px 12px 8px;border-top:1px solid var(--line)}
textarea{flex:1;min-width:0;resize:none;height:46px;max-height:132px;padding:10px 14px;border:1px solid var(--soft);border-radius:14px;font-size:16px;line-height:24px}
::placeholder{color:var(--soft);opacity:1}
textarea:focus-visible{outline:1px solid var(--ink);outline-offset:0;border-color:var(--ink)}
.send{width:46px;height:46px;padding:0;display:grid;place-items:center;border-radius:14px}.send[aria-disabled=true]{opacity:.55;cursor:default}
[dir=rtl] .send svg{transform:scaleX(-1)}
.foot{padding:0 14px 10px;min-height:10px}
.foot button{display:flex;gap:7px;align-items:center;padding:5px 8px;font-size:14px;color:var(--soft)}.foot button:hover{color:var(--ink)}.foot svg{width:17px;height:17px}
@keyframes rise{from{opacity:0;transform:translateY(12px)}}@keyframes blink{30%{opacity:.25}}
@media(max-width:480px){.root .panel{inset:0;width:auto;height:100dvh;border-radius:0}.opened .launcher{display:none}}
@media(prefers-reduced-motion:reduce){*{animation:none!important;transition:none!important}}
`;

  const ICONS = {
    chat: "M21 12a8 8 0 0 1-8 8H4l2-3.5A8 8 0 1 1 21 12zM9 12h.01M13 12h.01M17 12h.01",
    close: "M6 6l12 12M18 6L6 18",
    more: "M5 12h.01M12 12h.01M19 12h.01",
    send: "M5 12h14M13 6l6 6-6 6",
    up: "M7 11v9H4v-9zM7 11l4-8a2.5 2.5 0 0 1 2.5 2.5V9H19a2 2 0 0 1 2 2.3l-1.2 7a2 2 0 0 1-2 1.7H7",
    down: "M17 13V4h3v9zM17 13l-4 8a2.5 2.5 0 0 1-2.5-2.5V15H5a2 2 0 0 1-2-2.3l1.2-7a2 2 0 0 1 2-1.7H17",
    person: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.5 20.5a7.5 7.5 0 0 1 15 0",
  };

  // What outlives a reload. Storage may be forbidden; then the chat lasts as long as the page.
  const KEY = `understudy:${site}`;
  const kept = { user: asked.user || null, token: null, conversation: null, handling: "bot", seen: -1, pending: null };
  // All tabs of a site share it: each writes only the fields it changed, and hears of the others' (see sync).
  function found(key = KEY) {
    try { return JSON.parse(localStorage.getItem(key)) || {}; } catch { return {}; }
  }
  const isOurs = ({ user }) => (user || null) === kept.user;
  function keep(changes) {
    const now = found();
    Object.assign(kept, changes);
    if (now.user !== undefined && !isOurs(now)) return; // this page is older than a sign-in on another
    try { localStorage.setItem(KEY, JSON.stringify({ ...kept, ...now, ...changes })); } catch { /* not allowed here */ }
  }
  // Thumbs have an item of their own: a tab that writes at the same moment as another must not undo one.
  const THUMBS = `${KEY}:thumbs`;
  let thumbed = found(THUMBS);
  function keepThumbs(next) {
    thumbed = next;
    try { localStorage.setItem(THUMBS, JSON.stringify(next)); } catch { /* not allowed here */ }
  }
  const wasOpen = (now) => {
    try { return now === undefined ? sessionStorage.getItem(KEY) === "open" : sessionStorage.setItem(KEY, now ? "open" : ""); } catch { return false; }
  };

  // Building blocks.
  function h(tag, props = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(props)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value !== false && value != null) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child != null));
    return element;
  }
  function icon(name) {
    const of = (tag) => document.createElementNS("http://www.w3.org/2000/svg", tag);
    const svg = of("svg"), path = of("path");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("aria-hidden", "true");
    path.setAttribute("d", ICONS[name]);
    svg.append(path);
    return svg;
  }
  const button = (label, picture, onclick, more = {}) =>
    h("button", { type: "button", "aria-label": label, title: label, onclick, ...more }, icon(picture));
  const plain = (label, onclick, more = {}) => h("button", { type: "button", onclick, ...more }, label);

  let look, texts, language;
  const t = (name, values = {}) => (texts[name] || "").replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);

  // Markdown, the little of it that answers use. Everything else stays the text it is.
  const INLINE = /`([^`\n]{1,500})`|\*\*([^*\n]{1,500})\*\*|\[([^\]\n]{1,300})\]\(((?:https?:\/\/|mailto:)[^\s()]{1,1000})\)|((?:https?:\/\/|mailto:)[^\s<>"`*]{1,1000})/gi;
  function inline(text) {
    const nodes = [];
    let from = 0;
    for (const found of text.matchAll(INLINE)) {
      const [whole, code, bold, label, target] = found;
      const bare = found[5]?.replace(/[.,;:!?)\]'’]+$/, "");
      nodes.push(text.slice(from, found.index));
      if (code) nodes.push(h("code", {}, code));
      else if (bold) nodes.push(h("strong", {}, ...inline(bold)));
      else nodes.push(link(target || bare, label || bare));
      from = found.index + (bare ? bare.length : whole.length);
    }
    return [...nodes, text.slice(from)].filter(Boolean);
  }
  const link = (target, label) => h("a", { href: target, target: "_blank", rel: "noopener noreferrer", title: target }, label);
  function markdown(text) {
    const blocks = [];
    let items, lines, fence;
    const flow = () => { if (lines) blocks.push(h("p", {}, ...inline(lines.join("\n")))); lines = null; };
    for (const line of text.split("\n")) {
      if (line.trim().startsWith("```")) {
        flow();
        items = null;
        if (!fence) blocks.push(h("pre", { tabindex: "0" }, (fence = h("code"))));
        else fence = null;
        continue;
      }
      if (fence) { fence.append(`${line}\n`); continue; }
      const item = /^\s{0,6}(?:[-*]|(\d{1,6})[.)])\s+(.*)/.exec(line);
      if (item) {
        flow();
        const kind = item[1] ? "OL" : "UL";
        if (items?.tagName !== kind) blocks.push((items = h(kind, { start: item[1] })));
        items.append(h("li", {}, ...inline(item[2])));
      } else if (!line.trim()) flow();
      else { items = null; (lines ??= []).push(line); }
    }
    flow();
    return blocks;
  }

  // The service.
  class Trouble extends Error {
    constructor(message, status, after) { super(message); Object.assign(this, { status, after }); }
  }
  async function call(path, { body, headers, signal, token, keepalive } = {}) {
    const init = { headers: { ...headers }, signal, keepalive, credentials: "omit", cache: "no-store" };
    if (token) init.headers.Authorization = `Bearer ${token}`;
    if (body) Object.assign(init, { method: "POST", body: JSON.stringify(body) }).headers["Content-Type"] = "application/json";
    const response = await fetch(api + path, init).catch((error) => { throw new Trouble(error.message, 0); });
    if (response.ok) return response;
    const said = await response.json().catch(() => ({}));
    throw new Trouble(said.error?.message || "", response.status, Number(response.headers.get("Retry-After")));
  }
  let welcoming;
  async function token() {
    if (!kept.token) {
      const who = kept.user ? { user_id: kept.user, user_hash: asked.userHash || "" } : {};
      welcoming ??= call(`/widget/${site}/visitors`, { body: who }).finally(() => { welcoming = null; });
      const visitor = await (await welcoming.catch((trouble) => {
        if (trouble.status === 401) trouble.status = 403; // a wrong proof: asking again changes nothing
        throw trouble;
      })).clone().json();
      sync(); // two tabs that ask at once are one visitor: whoever was first
      if (!kept.token) keep({ token: visitor.token });
    }
    return kept.token;
  }
  async function own(path, options = {}) {
    let mine;
    try {
      mine = await token();
      return await call(path, { ...options, token: mine });
    } catch (trouble) {
      const lost = (trouble.status === 401 && mine === kept.token) || (trouble.status === 404 && path.includes(kept.conversation));
      if (lost) forget(trouble.status === 401);
      throw trouble;
    }
  }
  // The token or the conversation no longer counts. What is on screen stays readable above the line.
  function forget(tokenToo) {
    if (tokenToo) keep({ token: null });
    if (kept.conversation && shown.size) log.append(h("p", { class: "note mark" }, t("gone")));
    drop();
    keep({ conversation: null, handling: "bot", seen: -1 });
    keepThumbs({});
    if (kept.pending) keep({ pending: { ...kept.pending, id: null } });
    showHandling({ handling: "bot" });
  }
  const at = (path = "") => `/conversations/${kept.conversation}${path}`;
  async function ensureConversation() {
    sync();
    if (kept.conversation) return;
    const begun = await (await own("/conversations", { body: {} })).json();
    sync();
    if (!kept.conversation) keep({ conversation: begun.id, handling: begun.handling });
  }
  async function* events(response) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "", timer;
    // A connection can die without a word; the service's heartbeat comes every 15 seconds.
    const guard = () => { clearTimeout(timer); timer = setTimeout(() => reader.cancel().catch(() => {}), 60_000); };
    try {
      for (;;) {
        guard();
        const { value, done } = await reader.read().catch((error) => { throw new Trouble(error.message, 0); });
        if (done) return;
        const parts = (rest + value.replaceAll("\r", "")).split("\n\n");
        rest = parts.pop();
        for (const part of parts) {
          const field = (name) => part.split("\n").filter((line) => line.startsWith(`${name}: `)).map((line) => line.slice(name.length + 2)).join("\n");
          if (field("data")) yield [field("event"), JSON.parse(field("data"))];
        }
      }
    } finally {
      clearTimeout(timer);
      reader.cancel().catch(() => {});
    }
  }

  // The screen.
  let host, root, launcher, badge, panel, who, strip, scroll, log, stage, status, notices, input, sendButton, personButton, menu, menuButton, rating, satisfied;
  let opened = false;
  const shown = new Map(); // message id -> {row, print, position}

  function build() {
    host = h("div", { id: "understudy-widget" });
    const shadow = host.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet(); // a constructed sheet passes a strict content security policy
    sheet.replaceSync(STYLE);
    shadow.adoptedStyleSheets = [sheet];
    const side = (asked.position || look.position) === "left" ? "left" : "right";
    host.className = side;
    root = h("div", { class: `root ${side}`, lang: language, dir: language === "ar" ? "rtl" : "ltr" }, buildPanel(), buildLauncher());
    paint();
    shadow.append(root);
    document.documentElement.append(host); // beside the body: its transforms and filters do not move us
  }
  function buildLauncher() {
    badge = h("span", { class: "badge", hidden: true });
    launcher = button(t("open"), "chat", () => (opened ? shut() : open()), { class: "launcher", "aria-expanded": "false" });
    launcher.append(badge);
    return h("div", { role: "region", "aria-label": look.title }, launcher);
  }
  function buildPanel() {
    who = h("p", { class: "who", role: "status" });
    menu = h("div", { class: "menu", hidden: true },
      plain(t("fresh"), () => { toggleMenu(false); begin(); input.focus(); }),
      plain(t("save"), () => { toggleMenu(false); save(); }),
      plain(t("end"), () => { toggleMenu(false); end(); }));
    menuButton = button(t("menu"), "more", () => toggleMenu(menu.hidden), { "aria-expanded": "false" });
    strip = h("div", { class: "strip", role: "status" });
    log = h("div", { role: "log", "aria-live": "polite", "aria-label": t("messages") });
    stage = h("div"); // an answer being written: outside the log, so that it is read out once, when done
    status = h("p", { class: "quiet", role: "status" });
    scroll = h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": t("messages") }, log, stage);
    notices = h("div", { role: "alert" });
    input = h("textarea", { rows: "1", "aria-label": t("placeholder"), placeholder: t("placeholder"), dir: "auto", oninput: grow,
      onkeydown: (event) => { if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); submit(); } } });
    sendButton = h("button", { class: "fill send", "aria-label": t("send"), title: t("send") }, icon("send"));
    personButton = plain(t("person"), askForPerson);
    personButton.prepend(icon("person"));
    panel = h("div", { class: "panel", role: "dialog", "aria-label": look.title, tabindex: "-1", hidden: true, onkeydown: escape },
      h("div", { class: "head" }, h("div", {}, h("h2", {}, look.title), who), menuButton, button(t("close"), "close", shut), menu),
      strip, scroll, status, notices,
      h("form", { class: "write", onsubmit: (event) => { event.preventDefault(); submit(); } }, input, sendButton),
      h("div", { class: "foot" }, personButton));
    greet();
    return panel;
  }
  // Black or white on the brand's colour, whichever reads better: one of them always has 4.5 to 1.
  function paint() {
    const brand = /^#[0-9a-f]{6}$/i.test(asked.colour) ? asked.colour : look.colour;
    const [r, g, b] = [1, 3, 5].map((from) => parseInt(brand.slice(from, from + 2), 16) / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    root.style.setProperty("--brand", brand);
    root.style.setProperty("--on-brand", 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff");
    const theme = asked.theme || look.theme, system = matchMedia("(prefers-color-scheme: dark)");
    const apply = () => root.classList.toggle("dark", theme === "dark" || (theme !== "light" && system.matches));
    system.addEventListener("change", apply);
    apply();
  }
  function greet() {
    log.append(h("div", { class: "row" }, h("div", { class: "said", dir: "auto" }, ...markdown(look.greeting || t("greeting")))));
  }
  function grow() {
    input.style.height = "46px";
    input.style.height = `${Math.min(input.scrollHeight + 2, 132)}px`;
  }
  function escape(event) {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    if (menu.hidden) shut();
    else { toggleMenu(false); menuButton.focus(); }
  }
  function toggleMenu(shows) {
    menu.hidden = !shows;
    menuButton.setAttribute("aria-expanded", shows);
    if (shows) menu.firstChild.focus();
  }
  const nearEnd = () => scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 80;
  const toEnd = () => { scroll.scrollTop = scroll.scrollHeight; };

  function open(quietly) {
    opened = true;
    wasOpen(true);
    panel.hidden = false;
    showLauncher();
    markSeen();
    toEnd();
    // On a touch screen the keyboard would cover the chat at once.
    if (!quietly) (matchMedia("(pointer: coarse)").matches ? panel : input).focus();
    return refresh();
  }
  function shut() {
    opened = false;
    wasOpen(false);
    panel.hidden = true;
    showLauncher();
    launcher.focus();
  }
  function showLauncher() {
    root.classList.toggle("opened", opened);
    const unread = opened ? 0 : [...shown.values()].filter((one) => !one.mine && one.position > kept.seen).length;
    badge.hidden = !unread;
    badge.textContent = unread;
    const label = t(opened ? "close" : "open");
    launcher.setAttribute("aria-expanded", opened);
    launcher.setAttribute("aria-label", unread ? `${label}. ${t("unread", { count: unread })}` : label);
    launcher.title = label;
    launcher.firstChild.replaceWith(icon(opened ? "close" : "chat"));
  }
  const lastPosition = () => Math.max(-1, ...[...shown.values()].map((one) => one.position));
  function markSeen() {
    if (opened && lastPosition() > kept.seen) keep({ seen: lastPosition() });
    showLauncher();
  }

  // One row per message, found again by its id, in the order of the conversation.
  function show(message) {
    const print = message.state + message.text;
    const old = shown.get(message.id);
    if (old?.print === print || message.state === "writing" || (!message.text && message.state !== "complete")) return;
    const stick = nearEnd();
    const row = rowOf(message);
    if (old) old.row.replaceWith(row);
    else {
      const later = [...shown.values()].filter((one) => one.position > message.position).sort((a, b) => a.position - b.position)[0];
      log.insertBefore(row, later?.row || (unsent?.isConnected ? unsent : null));
    }
    shown.set(message.id, { row, print, position: message.position, mine: message.speaker === "customer" });
    if (stick) toEnd();
    markSeen();
  }
  function rowOf(message) {
    const mine = message.speaker === "customer";
    const row = h("div", { class: `row ${mine ? "mine" : message.speaker}` });
    if (message.speaker === "agent" && message.author) row.append(h("div", { class: "name" }, message.author));
    if (mine) row.append(h("span", { class: "quiet" }, `${t("you")}: `));
    row.append(h("div", { class: "said", dir: "auto" }, ...(mine ? [message.text] : markdown(message.text))));
    if (message.speaker !== "assistant") return row;
    row.append(message.state === "complete" ? thumbs(message.id) : h("p", { class: "note" }, t("cut")));
    return row;
  }
  function thumbs(id) {
    const bar = h("div", { class: "thumbs" });
    const press = (value) => {
      const before = thumbed[id];
      const stand = (now) => { keepThumbs({ ...found(THUMBS), [id]: now }); mark(now); };
      stand(value);
      rate(value).catch(() => { stand(before); say(t("failed")); });
      bar.parentNode.querySelector(".why,.note")?.remove();
      if (value < 0) askWhy();
    };
    const rate = (value, note) => own(`/messages/${id}/ratings`, { body: { value, ...(note && { note }) }, keepalive: true });
    const up = button(t("up"), "up", () => press(1)), down = button(t("down"), "down", () => press(-1));
    const mark = (value) => {
      up.setAttribute("aria-pressed", value === 1);
      down.setAttribute("aria-pressed", value === -1);
    };
    const askWhy = () => {
      const field = h("input", { "aria-label": t("why"), placeholder: t("why"), maxlength: "2000", dir: "auto" });
      const form = h("form", { class: "why", onsubmit: async (event) => {
        event.preventDefault();
        try {
          if (field.value.trim()) await rate(-1, field.value.trim());
          form.replaceWith(h("p", { class: "note", role: "status" }, t("thanks")));
          input.focus();
        } catch { say(t("failed")); }
      } }, field, h("button", { class: "fill" }, t("send")));
      bar.after(form);
      field.focus();
      form.scrollIntoView({ block: "nearest" });
    };
    mark(thumbed[id]);
    bar.append(up, down);
    return bar;
  }
  function typing(text) {
    const stick = nearEnd();
    const inside = text ? markdown(text) : [h("div", { class: "dots" }, h("i"), h("i"), h("i"))];
    stage.replaceChildren(h("div", { class: "row" }, h("div", { class: "said", dir: "auto", "aria-hidden": text ? null : "true" }, ...inside)));
    if (status.textContent !== t("writing")) status.textContent = t("writing");
    if (stick) toEnd();
  }
  function quiet() {
    stage.replaceChildren();
    status.textContent = "";
  }
  function say(text, again) {
    notices.replaceChildren();
    if (text) notices.append(h("div", { class: "notice" }, h("span", {}, text), again && plain(t("retry"), again)));
  }
  function showHandling(about) {
    const { handling } = about;
    keep({ handling });
    personButton.hidden = withPerson();
    const there = handling === "person" && about.person ? t("here", { name: about.person }) : "";
    if (who.textContent !== there) who.textContent = there;
    const lines = { waiting: () => [t("waiting"), ...whenPeople(about)].join(" "), closed: () => t("closed") }[handling];
    const now = lines ? lines() : "";
    if (strip.textContent !== now) strip.textContent = now;
    satisfied ||= !!about.satisfaction;
    if (handling === "closed") showRating(kept.conversation);
  }
  function whenPeople(about) {
    if (!about.opens_at) return [about.people_ahead ? t("ahead", { count: about.people_ahead }) : t("next")];
    const voice = navigator.language.startsWith(language) ? navigator.language : language;
    const time = new Intl.DateTimeFormat(voice, { weekday: "long", hour: "numeric", minute: "2-digit" }).format(new Date(about.opens_at));
    return [t("hours", { time }), t("reply", { hours: about.reply_within_hours })];
  }
  function clearRating() {
    rating?.remove();
    rating = null;
  }
  function showRating(about) {
    if (rating || !about || satisfied) return;
    const scale = h("div", { class: "scale", role: "group", "aria-label": t("rate") });
    const choose = async (value) => {
      try {
        await own(`/conversations/${about}/satisfaction`, { body: { value } });
        if (about === kept.conversation) satisfied = true;
        [...scale.children].forEach((one, index) => one.setAttribute("aria-pressed", index + 1 === value));
        thanks.textContent = t("thanks");
      } catch { say(t("failed")); }
    };
    for (let value = 1; value <= 5; value++) {
      const hint = { 1: t("worst"), 5: t("best") }[value];
      scale.append(plain(String(value), () => choose(value), { "aria-pressed": "false", "aria-label": hint ? `${value}, ${hint}` : null }));
    }
    const thanks = h("p", { class: "note", role: "status" });
    rating = h("div", { class: "rate" }, h("p", {}, t("rate")), scale,
      h("div", { class: "ends", "aria-hidden": "true" }, h("span", {}, t("worst")), h("span", {}, t("best"))),
      thanks, about === kept.conversation ? plain(t("fresh"), () => { begin(); input.focus(); }, { class: "fill" }) : null);
    scroll.append(rating);
    toEnd();
  }

  // Sending. A message waits in storage with its key until its answer is in, whatever happens between.
  let unsent, asking, delivering = false, tries = 0, timer;
  function submit() {
    const text = input.value.trim();
    sync();
    if (!text || kept.pending) return;
    const key = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    keep({ pending: { key, text, id: null } });
    input.value = "";
    grow();
    clearRating();
    deliver();
  }
  function showUnsent() {
    const { id, text } = kept.pending;
    sendButton.setAttribute("aria-disabled", "true");
    if (unsent || shown.has(id)) return;
    unsent = rowOf({ speaker: "customer", text });
    unsent.classList.add("unsent");
    log.append(unsent);
    toEnd();
  }
  const withPerson = () => kept.handling === "waiting" || kept.handling === "person";
  async function deliver() {
    timer = clearTimeout(timer);
    if (delivering || !kept.pending) return;
    delivering = true;
    showUnsent();
    if (!withPerson()) typing();
    try {
      await ensureConversation();
      const mine = kept.pending;
      if (mine) await ask(mine);
      if (!kept.pending || kept.pending.key === mine.key) unpend();
    } catch (trouble) {
      quiet();
      if (kept.pending) await troubled(trouble);
    } finally {
      delivering = false;
    }
    if (!kept.pending) follow();
    else if (!timer) deliver();
  }
  // Nothing is on its way any more.
  function unpend() {
    keep({ pending: null });
    settle();
  }
  function settle() {
    unsent = null;
    tries = 0;
    sendButton.setAttribute("aria-disabled", !!kept.pending);
    quiet();
    say();
  }
  async function ask(pending) {
    const headers = { "Idempotency-Key": pending.key, Accept: "text/event-stream" };
    asking = new AbortController();
    const response = await own(at("/messages"), { body: { text: pending.text }, headers, signal: asking.signal });
    let text = "", done = false, drawn = 0;
    const draw = () => { drawn ||= requestAnimationFrame(() => { drawn = 0; if (!done) typing(text); }); };
    for await (const [name, data] of events(response)) {
      if (name === "question") {
        text = "";
        say();
        accepted(data.question);
        if (!data.answer_id) { done = true; quiet(); }
        else if (kept.handling === "closed") showHandling({ handling: "bot" });
      } else if (name === "delta") { text += data.text; draw(); }
      else if (name === "answer") { done = true; quiet(); show(data); }
      else if (name === "conversation") { done = true; showHandling(data); }
      else if (name === "error") { done = true; throw new Trouble(data.message, 500, data.retry_after_seconds); }
    }
    if (!done) throw new Trouble("the answer broke off", 0);
  }
  function accepted(question) {
    if (kept.pending) keep({ pending: { ...kept.pending, id: question.id } });
    if (shown.has(question.id)) unsent?.remove();
    else if (unsent) {
      shown.set(question.id, { row: unsent, print: question.state + question.text, position: question.position, mine: true });
      unsent.classList.remove("unsent");
    } else show(question);
    unsent = null;
  }
  // Says what happens next, and lets it happen: on the next try, when the connection is back, or at once.
  async function troubled({ status, after, message }) {
    tries += 1;
    const known = [0, 401, 404, 409, 429].includes(status) || status >= 500;
    if (!known || (status === 401 && tries > 3)) {
      console.warn("Understudy:", message);
      takeBack();
      return say(status === 422 || status === 413 ? message : t("failed"));
    }
    if (status >= 500 && kept.conversation) await refresh();
    if (!kept.pending) return;
    if (kept.pending.id && kept.handling === "person") return unpend(); // a person reads it; the bot is silent
    const seconds = Math.max(after || 0, tries < 2 ? 1 : Math.min(30, 2 ** tries));
    if (!navigator.onLine) say(t("offline"));
    else if (after || tries > 1) say(t("busy", { seconds }), deliver);
    timer = setTimeout(deliver, (seconds + Math.random() / 2) * 1000);
  }
  function takeBack() {
    input.value = kept.pending.text;
    grow();
    unsent?.remove();
    unpend();
  }

  // Reading: everything at once, then what happens live while a person is asked for or there.
  let following = null, pause = 0;
  async function refresh() {
    if (!kept.conversation) return;
    try {
      const history = await (await own(at())).json();
      const said = history.messages;
      adopt(said);
      log.setAttribute("aria-live", "off"); // history is not news
      said.filter((one) => !(kept.pending && one.reply_to_id === kept.pending.id && one.state !== "complete")).forEach(show);
      setTimeout(() => log.setAttribute("aria-live", "polite"), 500);
      if (kept.seen === null) keep({ seen: lastPosition() });
      showHandling(history);
      // Sent again now, the stored question would make the bot speak over the person.
      if (kept.pending?.id && kept.handling === "person" && !delivering) unpend();
      if (!kept.pending) {
        const writing = said.some((one) => one.state === "writing");
        if (writing) typing();
        else quiet();
        say();
        follow(writing);
      }
    } catch (trouble) {
      if (trouble.status === 0 && !kept.pending) say(t("offline"));
    }
  }
  // A reload can come between the question's storing and our hearing of it.
  function adopt(said) {
    const last = said.filter((one) => one.speaker === "customer").pop();
    if (!kept.pending || kept.pending.id || last?.text !== kept.pending.text) return;
    if (!said.some((one) => one.reply_to_id === last.id && one.state === "complete")) accepted(last);
  }
  async function follow(evenBot) {
    const live = () => withPerson() || evenBot;
    if (following || !live() || document.hidden) return;
    const mine = (following = new AbortController());
    try {
      const response = await own(at(`/events?after=${lastPosition()}`), { signal: mine.signal });
      for await (const [name, data] of events(response)) {
        if (mine.signal.aborted) return;
        pause = 0;
        say();
        if (name === "message") {
          if (data.speaker === "assistant") { quiet(); evenBot = false; }
          if (!(delivering && data.text === kept.pending?.text && !kept.pending.id)) show(data);
        } else showHandling(data);
        if (!live()) break;
      }
    } catch (trouble) {
      if (trouble.status === 0 && !mine.signal.aborted && !kept.pending) say(t("offline"));
    } finally {
      if (following === mine) following = null;
      mine.abort();
    }
    if (!live()) return;
    pause = Math.min(30, pause * 2 || 1);
    setTimeout(() => follow(evenBot), pause * 1000);
  }
  function drop() {
    following?.abort();
    following = null;
  }

  // What the customer can do besides writing.
  async function askForPerson() {
    try {
      await ensureConversation();
      showHandling(await (await own(at("/handover"), { body: {} })).json());
      // A stored question whose answer failed is for the person now.
      if (kept.pending?.id && !delivering) { clearTimeout(timer); unpend(); }
      say();
      input.focus();
      follow();
    } catch (trouble) {
      say(t(trouble.status ? "failed" : "offline"), askForPerson);
    }
  }
  const close = (about) => own(`/conversations/${about}/close`, { body: {} });
  async function end() {
    if (!kept.conversation) return;
    if (kept.pending) takeBack(); // what was not answered is not lost
    asking?.abort();
    drop();
    try {
      showHandling(await (await close(kept.conversation)).json());
      rating?.querySelector("button").focus();
    } catch { say(t("failed"), end); }
  }
  function begin() {
    const old = kept.conversation, rated = satisfied;
    if (kept.pending) takeBack();
    if (old && kept.handling !== "closed") close(old).catch(() => {}); // nobody waits for a reply there
    keep({ conversation: null, seen: -1, pending: null });
    keepThumbs({});
    clear();
    showHandling({ handling: "bot" });
    if (!rated) showRating(old); // about the one that ended, until something is said in the new one
  }
  function clear() {
    asking?.abort();
    drop();
    clearTimeout(timer);
    shown.clear();
    satisfied = false;
    clearRating();
    log.replaceChildren();
    settle();
    greet();
  }
  async function save() {
    if (!kept.conversation) return;
    try {
      const address = URL.createObjectURL(await (await own(at(`/transcript?language=${language}`))).blob());
      const anchor = h("a", { href: address, download: `conversation-${new Date().toISOString().slice(0, 10)}.txt` });
      anchor.click();
      setTimeout(() => URL.revokeObjectURL(address), 10_000);
    } catch { say(t("failed"), save); }
  }
  // A customer whom the site knows finds their last conversation on another device, too.
  async function findLast() {
    if (!kept.user || kept.conversation || kept.pending) return;
    const [last] = await (await own("/conversations?limit=1")).json();
    if (last && last.handling !== "closed") keep({ conversation: last.id, handling: last.handling, seen: null });
  }

  function chooseLanguage() {
    const fixed = asked.language || look.language;
    const wishes = fixed && fixed !== "auto" ? [fixed] : [document.documentElement.lang, ...navigator.languages];
    language = wishes.map((wish) => wish.slice(0, 2).toLowerCase()).find((wish) => wish in TEXTS) || "en";
    texts = { ...TEXTS[language], ...look.texts };
  }
  // Another tab has spoken: its conversation is this one's, and what it sends is not sent from here too.
  function sync() {
    const now = found(), { conversation, pending, handling } = kept;
    if (!root || !isOurs(now)) return;
    Object.assign(kept, now);
    const other = kept.conversation !== conversation;
    if (other && conversation) clear();
    sendButton.setAttribute("aria-disabled", !!kept.pending);
    if (!other && kept.handling === handling && kept.pending?.key === pending?.key) return;
    if (pending && !kept.pending && !delivering) {
      unsent?.remove();
      settle();
    }
    if (document.hidden || delivering) return;
    clearTimeout(timer);
    if (kept.pending) timer = setTimeout(deliver, 3000); // should that tab be gone
    else if (opened || withPerson()) refresh();
  }
  function wake() {
    sync();
    if (document.hidden) return drop(); // browsers allow few connections; a hidden tab needs none
    pause = 0;
    say();
    if (kept.pending) deliver();
    else if (opened || withPerson()) refresh();
  }
  async function start() {
    try {
      look = await (await call(`/widget/${site}`)).json();
    } catch (trouble) {
      console.warn("Understudy: the chat is not shown.", trouble.message);
      if (!navigator.onLine) addEventListener("online", start, { once: true });
      return;
    }
    // Somebody else has signed in to the site: they must not see this person's chat.
    if (isOurs(found())) Object.assign(kept, found());
    else localStorage.removeItem(KEY);
    addEventListener("storage", (event) => { if (event.key === KEY) sync(); });
    chooseLanguage();
    build();
    // A phone's keyboard covers the page instead of making it smaller.
    const seen = window.visualViewport;
    seen?.addEventListener("resize", () => {
      const covered = innerWidth <= 480 && seen.scale === 1;
      panel.style.height = covered ? `${seen.height}px` : "";
    });
    addEventListener("online", wake);
    addEventListener("offline", () => { say(t("offline")); asking?.abort(); drop(); });
    document.addEventListener("visibilitychange", wake);
    // An agent may step in unasked; an open chat looks now and then.
    setInterval(() => { if (opened && !document.hidden && !delivering && !following && kept.conversation && !kept.pending) refresh(); }, 20_000);
    await findLast().catch(() => {});
    if (wasOpen() && innerWidth > 480) await open(true);
    else if (kept.pending || withPerson()) await refresh();
    deliver();
  }
  if (window.requestIdleCallback) requestIdleCallback(start, { timeout: 3000 });
  else setTimeout(start, 300);
})();
