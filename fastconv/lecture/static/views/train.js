// Train: a run that starts, pauses, takes one step and is reset; its curves, its filters, and what the model mistakes.

import { curves, thinned } from "../curves.js";
import { button, exact, field, h, number, picture, refill, show } from "../dom.js";
import { save } from "../downloads.js";
import { mosaic, thumbnail } from "../mosaic.js";
import { choose } from "../pictures.js";
import { ask as request } from "../wire.js";

const SETTINGS = {
  lr: { min: 0, max: 10, step: "any" }, momentum: { min: 0, max: 0.999, step: "any" },
  batch_size: { min: 1, max: 4096 }, epochs: { min: 1, max: 1000 }, seed: { min: 0, max: 9999 },
};
const TRAINED = "#2a7de1", TESTED = "#d9730d";

const still = matchMedia("(prefers-reduced-motion: reduce)");
let app, root, parts, source, state, losses, history, confusion, mistakes, filters, waiting, judged;

export default {
  id: "train",
  keys: { " ": toggle, s: () => ask("step"), r: () => ask("reset") },

  mount(element, application) {
    [app, root, state, waiting, judged, confusion, mistakes, filters] = [application, element, null, 0, true, null, [], []];
    [losses, history] = [[], {}];
    const { t } = app;
    const steer = (name, action) => button(t(`train.${name}`), action, { id: name });
    const panel = (name, ...inside) => h("section", { class: "panel" }, h("h2", {}, t(`train.${name}`)), ...inside);
    parts = {
      run: button("", toggle, { id: "run", class: "first" }),
      state: h("p", { class: "state" }), bar: h("progress", { max: 1, value: 0, "aria-label": t("train.epoch.bar") }),
      loss: picture("", { id: "loss" }), accuracy: picture("", { id: "accuracy" }), legend: h("p", { class: "legend" }),
      filters: h("div", { class: "filters" }), confusion: h("div", { class: "scroll" }), mistakes: h("div", { class: "mistakes" }),
      fields: {},
    };
    const fields = Object.entries(SETTINGS).map(([name, range]) => {
      const control = number(app.get(name, ""), range, (value) => set({ [name]: value }));
      parts.fields[name] = control;
      return field(t(`train.${name}`), control);
    });
    element.append(
      h("div", { class: "steer" },
        h("div", { class: "play" }, parts.run, steer("step", () => ask("step")), steer("reset", () => ask("reset")),
          steer("save", weights)),
        ...fields, h("p", { class: "note" }, t("train.note"))),
      h("div", { class: "state" }, parts.state, parts.bar),
      h("div", { class: "panels" },
        panel("losses", parts.loss), panel("accuracies", parts.accuracy, parts.legend),
        panel("filters", parts.filters), panel("confusion", parts.confusion), panel("mistakes", parts.mistakes)));
    parts.legend.append(key(TRAINED, "━", t("train.on.training")), key(TESTED, "┅", t("train.on.test")));
    const given = Object.fromEntries(Object.keys(SETTINGS).filter((name) => app.state[name] !== undefined)
      .map((name) => [name, app.number(name, 0)]));
    if (Object.keys(given).length) ask("set", given);
    source = new EventSource("api/events");
    source.onmessage = ({ data }) => hear(JSON.parse(data));
  },

  unmount() {
    source.close();
    cancelAnimationFrame(waiting);
    if (state?.steps) app.refresh();
  },

  update() {},

  describe() {
    if (!state) return "";
    const { t } = app, last = (name) => history[name]?.at(-1);
    return [t("train.said", { epoch: state.epochs, of: state.settings.epochs, steps: state.steps,
      loss: losses.length ? show(losses.at(-1), 3) : "–" }),
    state.epochs ? t("train.said.accuracy", { accuracy: show(100 * last("validation_accuracy"), 4) }) : "",
    mistakes.length ? t("train.said.worst", { label: app.info.classes[mistakes[0].label],
      taken: app.info.classes[mistakes[0].taken] }) : ""].join(" ");
  },

  code: () => state.code,

  arrays() {
    const lists = Object.entries({ losses, ...history }).map(([name, data]) => [name, { data, shape: [data.length] }]);
    const weights = filters.map(({ path, data, shape }) => [`${path}.weight`, { data, shape }]);
    return { ...Object.fromEntries([...lists, ...weights]),
      ...confusion && { confusion: { data: confusion.flat(), shape: [confusion.length, confusion.length] } } };
  },
};

function key(colour, line, text) {
  const sign = h("span", { "aria-hidden": "true" }, `${line} `);
  sign.style.color = colour;
  return h("span", {}, sign, text);
}

function toggle() {
  return state && !parts.run.disabled && ask(state.running ? "pause" : "start");
}

function set(values) {
  app.set(values);
  return ask("set", values);
}

async function ask(action, settings) {
  parts.run.disabled = true; // until it is done, which may take a moment
  try {
    const { head } = await app.call("train", { action, ...settings && { settings } });
    app.fail(null);
    stand(head);
  } catch (error) {
    if (state) stand(state);
    app.fail(error);
  }
}

// The model as it is now, for fc.load_weights.
async function weights() {
  save("weights.npz", await (await request("weights", {})).blob());
}

// --- what the server tells ------------------------------------------------------------------------------------------

function hear(event) {
  const { first, confusion: counted, mistakes: worst, filters: drawn } = event;
  if (first === 0) [losses, history, confusion, mistakes] = [[], {}, null, []];
  losses.length = first;
  for (const loss of event.losses) losses.push(loss);
  for (const [name, values] of Object.entries(event.history)) history[name] = [...history[name] ?? [], ...values];
  if (counted) [confusion, mistakes] = [counted, worst.map(unpacked)];
  filters = drawn.map(unpacked);
  stand(event);
  judged ||= Boolean(counted) || first === 0;
  waiting ||= requestAnimationFrame(draw);
  if (counted || !event.running) app.announce();
}

function unpacked({ values, ...rest }) {
  return { ...rest, data: new Float32Array(Uint8Array.from(atob(values), (letter) => letter.charCodeAt(0)).buffer) };
}

// Where the run is, beside the controls: an answer may come behind an event that is newer.
function stand(now) {
  if (now.number < state?.number) now = state;
  state = now;
  const { t } = app, { settings, running, done, epochs, batch, batches } = now;
  const name = running ? `❚❚ ${t("pause")}` : `▶ ${t(now.steps && !done ? "train.on" : "train.start")}`;
  if (parts.run.textContent !== name) parts.run.textContent = name; // a new text under a pressed button is no click
  parts.run.disabled = !running && (done || Boolean(now.error));
  root.querySelector("#step").disabled = done || Boolean(now.error);
  for (const [name, control] of Object.entries(parts.fields)) {
    if (control !== document.activeElement) control.value = exact(settings[name]);
  }
  parts.bar.value = batches ? batch / batches : 0;
  parts.state.textContent = t("train.state", { epoch: Math.min(epochs + (done ? 0 : 1), settings.epochs),
    of: settings.epochs, batch, batches: batches || "–", steps: now.steps,
    speed: now.images_per_second ? Math.round(now.images_per_second).toLocaleString("en") : "–" });
  if (now.error) app.fail(now.error);
}

// --- drawing ----------------------------------------------------------------------------------------------------------

function draw() {
  waiting = 0;
  const width = parts.loss.parentElement.clientWidth - 26, { t } = app;
  const steps = thinned(losses, width);
  const most = Math.max(...steps.slice(0, Math.ceil(width / 8)).map(([, value]) => value), 0.1);
  curves(parts.loss, width, 180, [{ points: steps, colour: TRAINED, wide: 1 }],
    { high: Number(most.toPrecision(2)), from: 1, to: Math.max(losses.length, 2), mark: t("train.step.axis") });
  parts.loss.setAttribute("aria-label", `${t("train.losses")}: ${losses.length ? show(losses.at(-1), 3) : "–"}`);
  if (judged) drawEpochs(width);
  if (judged || !still.matches) drawFilters(width);
  judged = false;
}

function drawEpochs(width) {
  const { t } = app, epochs = history.epoch ?? [], points = (name) => (history[name] ?? []).map((value, i) => [i + 1, value]);
  const lowest = Math.min(...(history.validation_accuracy ?? []), ...(history.train_accuracy ?? []), 0.9);
  curves(parts.accuracy, width, 160, [
    { points: points("train_accuracy"), colour: TRAINED },
    { points: points("validation_accuracy"), colour: TESTED, dash: [6, 3] },
  ], { low: Math.floor(lowest * 10) / 10, high: 1, from: 1, to: Math.max(epochs.length, 2), mark: t("train.epoch.axis") });
  parts.accuracy.setAttribute("aria-label", `${t("train.accuracies")}: ${epochs.length
    ? show(history.validation_accuracy.at(-1), 4) : "–"}`);
  refill(parts.confusion, table());
  refill(parts.mistakes, worst());
}

function drawFilters(width) {
  const shown = parts.filters.children.length / 2;
  if (shown !== filters.length) {
    refill(parts.filters, filters.flatMap(({ path, shape }) => {
      const name = app.t("train.filter", { path, shape: shape.join(" × ") });
      return [h("p", { class: "note" }, name), picture(name)];
    }));
  }
  filters.forEach((filter, i) => mosaic(parts.filters.children[2 * i + 1], filter, { width, height: 170 }));
}

function table() {
  const { classes } = app.info, { t } = app;
  if (!confusion) return [h("p", { class: "note" }, t("train.later"))];
  const line = (counts, row) => {
    const all = counts.reduce((a, b) => a + b, 0) || 1;
    return h("tr", {}, h("th", { scope: "row" }, classes[row]), counts.map((count, column) => {
      const cell = h("td", { class: row === column ? "right" : "" }, count ? `${count}` : "·");
      const part = row === column ? 0.25 * count / all : Math.min(0.6, 6 * count / all);
      cell.style.background = count ? `rgb(${row === column ? "24 165 88" : "217 70 40"} / ${part.toFixed(3)})` : "";
      return cell;
    }));
  };
  return [h("table", { class: "confusion", "aria-label": t("train.confusion") },
    h("thead", {}, h("tr", {}, h("th", { title: t("train.confusion.head") }, "↓ → "),
      classes.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, confusion.map(line))), h("p", { class: "note" }, t("train.confusion.head"))];
}

function worst() {
  const { classes } = app.info, { t } = app;
  if (!mistakes.length) return [h("p", { class: "note" }, t(confusion ? "train.none" : "train.later"))];
  return mistakes.map(({ number: at, label, taken, probability, ...image }) => {
    const name = t("train.mistake", { label: classes[label], taken: classes[taken], probability: show(100 * probability, 3) });
    return h("button", { type: "button", class: "mistake", title: t("train.mistake.open"),
      onclick: () => choose(app, `digit:${at}`, { view: "backward", label: null, steps: null }) },
    thumbnail(image, 64, name), h("span", { "aria-hidden": "true" }, `${classes[label]} → ${classes[taken]}`));
  });
}
