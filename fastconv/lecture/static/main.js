// The frame: what is in the address, the views and the one that is shown, keys, language, code and downloads.
//
// A view is a module in views/ whose default export has
//     id            its name in the address and in the texts (view.ID, keys.ID)
//     mount(root, app), unmount()
//     update(names) what of app.state has changed; without it the view is mounted again
//     describe()    what there is to see, in words: the line that is read aloud
//     code()        lines of Python that give exactly the numbers that are shown
//     arrays()      these numbers: { name: { data, shape } }
//     keys          { key: function }, such as { "[": () => ..., ArrowLeft: () => ... }

import * as canvas from "./canvas.js";
import { h } from "./dom.js";
import * as downloads from "./downloads.js";
import { ask, call } from "./wire.js";

// In the order of the keys 1, 2, ...
const VIEWS = ["slide", "backward", "network", "draw", "train"];
const LANGUAGES = ["en", "ko"];

const $ = (id) => document.getElementById(id);
const texts = {};
let views, shown = null, saying = 0;

const app = {
  canvas, call,
  state: {},      // of the address, all of it text
  info: {},       // what GET api/state says
  shared: {},     // what views hand on to each other and no address can hold

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
    if (names.includes("view") || names.includes("lang")) show();
    else tell(names);
  },

  t(key, values = {}) {
    return (texts[app.lang][key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
  },

  get lang() {
    const wanted = app.state.lang ?? navigator.language.slice(0, 2);
    return LANGUAGES.includes(wanted) ? wanted : "en";
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

  dialog(title, ...body) {
    $("dialog-title").textContent = title;
    $("dialog-body").replaceChildren(...body);
    $("dialog").showModal();
  },

  async refresh() {
    app.info = await (await fetch("api/state")).json();
  },
};

function read() {
  app.state = Object.fromEntries(new URLSearchParams(location.search));
}

let writing = 0;

// The address follows the state: at once where it leads to another view, else when there is time.
function write(step) {
  clearTimeout(writing);
  const put = () => {
    const query = `${new URLSearchParams(app.state)}`;
    history[step ? "pushState" : "replaceState"](null, "", query ? `?${query}` : location.pathname);
  };
  if (step) put();
  else writing = setTimeout(put, 150);
}

function tell(names) {
  if (shown?.update) shown.update(names);
  else if (shown) show();
}

function current() {
  return views.find(({ id }) => id === app.state.view) ?? views[0];
}

function show() {
  shown?.unmount();
  shown = current();
  app.fail(null);
  document.documentElement.lang = app.lang;
  document.title = `${app.t(`view.${shown.id}`)} – fastconv ${app.t("lecture")}`;
  for (const element of document.querySelectorAll("[data-i18n]")) element.textContent = app.t(element.dataset.i18n);
  $("views").setAttribute("aria-label", app.t("views"));
  $("views").replaceChildren(...views.map((view, i) => h("button", {
    type: "button", title: `${i + 1}`, "aria-current": view === shown ? "page" : undefined,
    onclick: () => app.set({ view: view.id }),
  }, app.t(`view.${view.id}`))));
  const action = (key, run, title) => h("button", { type: "button", onclick: run, title }, app.t(key));
  $("actions").replaceChildren(
    action("code", code, app.t("code.title")),
    h("span", { class: "joined", role: "group", "aria-label": app.t("download") },
      action("PNG", () => download("png")), action("CSV", () => download("csv")), action("NPZ", () => download("npz"))),
    action("language", () => app.set({ lang: app.lang === "ko" ? "en" : "ko" })),
    h("button", { type: "button", "aria-label": app.t("help"), title: app.t("help"), onclick: help }, "?"));
  const root = h("div", { class: `view ${shown.id}` });
  $("view").replaceChildren(root);
  shown.mount(root, app);
}

function code() {
  const lines = shown.code();
  const copy = h("button", { type: "button", onclick: async () => {
    await navigator.clipboard.writeText(lines);
    copy.textContent = app.t("copied");
  } }, app.t("copy"));
  app.dialog(app.t("code.title"), h("pre", { id: "code", tabIndex: 0 }, lines), copy);
}

async function download(kind) {
  const name = `fastconv.${kind}`;
  if (kind === "png") return downloads.save(name, await downloads.png([...document.querySelectorAll("main canvas")]));
  downloads.save(name, await (await ask(kind, {}, shown.arrays())).blob());
}

function help() {
  const list = (key) => app.t(key).split("\n").map((line) => line.split(" = "))
    .flatMap(([keys, what]) => [h("dt", {}, keys.split(" ").map((one) => h("kbd", {}, one))), h("dd", {}, what)]);
  app.dialog(app.t("help"), h("dl", {}, list(`keys.${shown.id}`), list("keys")));
}

function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || $("dialog").open) return;
  const typing = event.target.closest("input, select, textarea");
  if (typing || (event.target.closest("button, summary, a") && [" ", "Enter"].includes(event.key))) return;
  const number = Number(event.key);
  const run = event.key === "?" ? help : views[number - 1] ? () => app.set({ view: views[number - 1].id })
    : shown.keys?.[event.key];
  if (!run) return;
  event.preventDefault();
  run(event);
}

async function start() {
  read();
  const json = async (path) => (await fetch(path)).json();
  const [modules] = await Promise.all([
    Promise.all(VIEWS.map((id) => import(`./views/${id}.js`))), app.refresh(),
    ...LANGUAGES.map(async (lang) => (texts[lang] = await json(`i18n/${lang}.json`)))]);
  views = modules.map((module) => module.default);
  show();
  addEventListener("popstate", () => (read(), show()));
  document.addEventListener("keydown", key);
  let resized = 0;
  addEventListener("resize", () => (clearTimeout(resized), (resized = setTimeout(show, 150))));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
}

start().catch((error) => app.fail(error));
