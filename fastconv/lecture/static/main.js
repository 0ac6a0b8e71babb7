// The frame: what is in the address, the views and the one that is shown, keys, language, code and downloads.
//
// A view is a module in views/, loaded when it is wanted first, whose default export has
//     id            its name in the address and in the texts (view.ID, keys.ID)
//     mount(root, app), and where something has to be ended unmount()
//     update(names) what of app.state has changed; without it the view is mounted again
//     describe()    what there is to see, in words: the line that is read aloud
//     code()        lines of Python that give exactly the numbers that are shown
//     arrays()      these numbers: { name: { data, shape } }
//     keys          { key: function }, such as { "[": () => ..., ArrowLeft: () => ... }

import { button, h, refill } from "./dom.js";
import { ask, call, latest } from "./wire.js";

// In the order of the keys 1, 2, ...
const VIEWS = ["slide", "backward", "network", "draw", "train"];
const LANGUAGES = ["en", "ko"];

// What can be long stands behind the #, which no server reads. An address of more letters than MOST would keep the
// browser busy with each change: then it is left out, and gone when the page is loaded again.
const LONG = ["picture", "strokes"], MOST = 100_000;

const $ = (id) => document.getElementById(id);
const views = {}, texts = {};
let shown = null, visits = 0, saying = 0, writing = 0;

const app = {
  call,
  state: {},      // of the address, all of it text
  info: {},       // what GET api/state says
  shared: {},     // what views hand on to each other

  get(name, otherwise) {
    return app.state[name] ?? otherwise;
  },

  number(name, otherwise) {
    const value = Number(app.state[name] ?? otherwise);
    return Number.isFinite(value) ? value : otherwise;
  },

  // Changes the state; null and "" take a name away. The view that is shown hears of it.
  set(changes) {
    const names = Object.keys(changes).filter((name) => `${changes[name] ?? ""}` !== (app.state[name] ?? ""));
    if (!names.length) return;
    for (const name of names) {
      if ((changes[name] ?? "") === "") delete app.state[name];
      else app.state[name] = `${changes[name]}`;
    }
    write(names.includes("view"));
    if (names.includes("view") || names.includes("lang") || !shown.update) show();
    else shown.update(names);
  },

  t(key, values = {}) {
    return (texts[app.lang][key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
  },

  get lang() {
    const wanted = app.state.lang ?? navigator.language.slice(0, 2);
    return LANGUAGES.includes(wanted) ? wanted : "en";
  },

  // What a view asks again and again, see latest. `hear` gets the answer, unless another view is shown by then.
  question(asked, hear) {
    const visit = visits, here = (run) => (value) => visit === visits && run(value);
    return latest(() => asked().then(here((answer) => (app.fail(null), hear(answer)))).catch(here(app.fail)));
  },

  // Says the view in words, once nothing has changed for a moment.
  announce(text) {
    clearTimeout(saying);
    saying = setTimeout(() => ($("said").textContent = text ?? shown?.describe() ?? ""), 120);
  },

  // Shows what went wrong; without a message, that nothing does any more.
  fail(error) {
    $("failure").textContent = error ? `${error.message ?? error}` : "";
    $("failure").hidden = !error;
  },

  async refresh() {
    app.info = await json("api/state");
  },
};

async function json(path) {
  return (await fetch(path)).json();
}

function read() {
  const { search, hash } = location;
  app.state = Object.fromEntries([search, hash].flatMap((part) => [...new URLSearchParams(part.slice(1))]));
}

// The address follows the state: at once where it leads to another view, else when there is time.
function write(step) {
  clearTimeout(writing);
  const put = () => {
    const entries = Object.entries(app.state), long = entries.filter(([name]) => LONG.includes(name));
    const fits = long.every(([, text]) => text.length <= MOST);
    const query = `${new URLSearchParams(entries.filter(([name]) => !LONG.includes(name)))}`;
    history[step ? "pushState" : "replaceState"](null, "", (query ? `?${query}` : location.pathname)
      + (long.length && fits ? `#${new URLSearchParams(long)}` : ""));
    $("long").hidden = fits;
  };
  if (step) put();
  else writing = setTimeout(put, 150);
}

const current = () => (VIEWS.includes(app.state.view) ? app.state.view : VIEWS[0]);

// Fetches the view and the language that are wanted, where they are not here yet.
async function load() {
  const id = current(), { lang } = app;
  const [view, words] = await Promise.all([import(`./views/${id}.js`), texts[lang] ?? json(`i18n/${lang}.json`)]);
  [views[id], texts[lang]] = [view.default, words];
}

async function show() {
  const visit = visits += 1, id = current(), { lang } = app;
  if (!views[id] || !texts[lang]) await load();
  if (visit !== visits) return;
  shown?.unmount?.();
  shown = views[id];
  app.fail(null);
  document.documentElement.lang = lang;
  document.title = `${app.t(`view.${id}`)} – fastconv ${app.t("lecture")}`;
  for (const element of document.querySelectorAll("[data-i18n]")) element.textContent = app.t(element.dataset.i18n);
  $("views").setAttribute("aria-label", app.t("views"));
  refill($("views"), VIEWS.map((view, i) => button(app.t(`view.${view}`), () => app.set({ view }),
    { title: `${i + 1}`, "aria-current": view === id ? "page" : undefined })));
  const file = (kind) => button(kind.toUpperCase(), () => download(kind));
  refill($("actions"), button(app.t("code"), code, { title: app.t("code.title") }),
    h("span", { class: "joined", role: "group", "aria-label": app.t("download") }, ["png", "csv", "npz"].map(file)),
    button(app.t("language"), () => app.set({ lang: lang === "ko" ? "en" : "ko" })),
    button("?", help, { "aria-label": app.t("help"), title: app.t("help") }));
  const root = h("div", { class: `view ${id}` });
  refill($("view"), root);
  shown.mount(root, app);
}

function dialog(title, ...body) {
  $("dialog-title").textContent = app.t(title);
  refill($("dialog-body"), ...body);
  $("dialog").showModal();
}

function code() {
  const lines = shown.code();
  const copy = button(app.t("copy"), async () => {
    await navigator.clipboard.writeText(lines);
    copy.textContent = app.t("copied");
  });
  dialog("code.title", h("pre", { id: "code", tabIndex: 0 }, lines), copy);
}

async function download(kind) {
  const { png, save } = await import("./downloads.js");
  save(`fastconv.${kind}`, kind === "png" ? await png([...document.querySelectorAll("main canvas")])
    : await (await ask(kind, {}, shown.arrays())).blob());
}

function help() {
  const list = (key) => app.t(key).split("\n").map((line) => line.split(" = "))
    .flatMap(([keys, what]) => [h("dt", {}, keys.split(" ").map((one) => h("kbd", {}, one))), h("dd", {}, what)]);
  dialog("help", h("dl", {}, list(`keys.${shown.id}`), list("keys")));
}

function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || $("dialog").open) return;
  const typing = event.target.closest("input, select, textarea");
  if (typing || (event.target.closest("button, summary, a") && [" ", "Enter"].includes(event.key))) return;
  const view = VIEWS[Number(event.key) - 1];
  const run = event.key === "?" ? help : view ? () => app.set({ view }) : shown.keys?.[event.key];
  if (!run) return;
  event.preventDefault();
  run(event);
}

async function start() {
  read();
  await Promise.all([app.refresh(), load()]);
  show();
  addEventListener("popstate", () => (read(), show()));
  document.addEventListener("keydown", key);
  let resized = 0, width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return; // a telephone's bar that goes away while one scrolls
    width = innerWidth;
    clearTimeout(resized);
    resized = setTimeout(show, 150);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
}

start().catch(app.fail);
