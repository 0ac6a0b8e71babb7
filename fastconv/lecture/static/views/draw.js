// Draw a digit: what the network sees of it, how sure it is, and the maps in between.

import { fit, grid, heatmap, tiles } from "../canvas.js";
import { field, h, number, show } from "../dom.js";
import { latest } from "../wire.js";

const SIDE = 280, BRUSH = 20, STEP = 10;
const MOST_BARS = 10, MOST_TILES = 16;

let app, parts, strokes, cursor, seen, mounted = 0;

const view = {
  id: "draw",
  keys: {
    ArrowUp: (event) => go(0, -1, event), ArrowDown: (event) => go(0, 1, event),
    ArrowLeft: (event) => go(-1, 0, event), ArrowRight: (event) => go(1, 0, event),
    " ": () => dot(), Backspace: () => undo(), c: () => clear(), n: () => another(1), m: () => centre(),
  },

  mount(element, application) {
    [app, seen] = [application, null];
    mounted += 1;
    strokes = app.shared.strokes ??= [];
    cursor = { x: SIDE / 2, y: SIDE / 2, shown: false };
    const { t } = app, button = (key, run) => h("button", { type: "button", onclick: run }, t(key));
    parts = {
      paper: h("canvas", { id: "paper", width: SIDE, height: SIDE, tabIndex: 0, role: "img",
        "aria-label": t("draw.paper") }),
      over: h("canvas", { class: "over", width: SIDE, height: SIDE, "aria-hidden": "true" }),
      sees: h("canvas", { id: "sees", role: "img", "aria-label": t("draw.sees") }),
      answer: h("p", { class: "answer" }), bars: h("ol", { class: "bars" }), maps: h("div", { class: "maps" }),
      untrained: h("p", { class: "untrained", hidden: true }, t("draw.untrained")),
      test: number(app.number("test", 0), { min: 0, max: app.info.digits - 1 }, (test) => app.set({ test })),
      centre: h("input", { type: "checkbox", checked: app.get("centre", "1") === "1",
        onchange: () => app.set({ centre: parts.centre.checked ? null : "0" }) }),
    };
    element.append(
      h("section", { class: "pad" }, h("div", { class: "stack" }, parts.paper, parts.over),
        h("div", { class: "buttons" }, button("draw.clear", clear), button("draw.undo", undo),
          button("draw.another", () => another(1))),
        field(t("draw.test"), parts.test),
        h("label", { class: "check" }, parts.centre, t("draw.centre"))),
      h("section", { class: "answers" }, h("figure", { class: "plane" }, h("figcaption", {}, t("draw.sees")), parts.sees),
        h("div", {}, parts.answer, parts.bars, parts.untrained)),
      h("section", { class: "inside" }, h("h2", {}, t("draw.maps")), parts.maps));
    listen(parts.over);
    if (app.state.test !== undefined && !strokes.length) load();
    else paint();
  },

  unmount() {
    mounted += 1;
    seen = null;
  },

  update(names) {
    if (names.includes("test") && app.state.test !== undefined) return load();
    parts.centre.checked = app.get("centre", "1") === "1";
    ask();
  },

  describe() {
    if (!seen) return app.t("draw.empty");
    const [best, second] = ranked();
    return app.t("draw.said", { best: app.info.classes[best], percent: percent(best), second: app.info.classes[second],
      margin: percent(best, second) });
  },

  code() {
    return ["import numpy as np", "import fastconv as fc", "from fastconv import nn, walk", "", app.info.source,
      'image = np.load("fastconv.npz")["x"]  # the NPZ that the page gives', "seen = walk.forward(model, image)",
      "print(seen.prediction, seen.probabilities)"].join("\n");
  },

  arrays: () => (seen ? seen.sections : {}),
};

export default view;

// --- drawing ----------------------------------------------------------------------------------------------------------

function listen(canvas) {
  const point = (event) => {
    const bounds = canvas.getBoundingClientRect(), scale = SIDE / bounds.width;
    return [(event.clientX - bounds.left) * scale, (event.clientY - bounds.top) * scale];
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    parts.paper.focus({ preventScroll: true });
    strokes.push({ points: [point(event)] });
    changed();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!canvas.hasPointerCapture(event.pointerId)) return;
    for (const one of event.getCoalescedEvents?.() ?? [event]) strokes.at(-1).points.push(point(one));
    changed();
  });
}

// The address speaks of a test image only while nothing else is drawn.
function changed() {
  if (app.state.test !== undefined && strokes.some(({ points }) => points)) app.set({ test: null });
  cursor.shown = false;
  paint();
}

function paint() {
  const context = parts.paper.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#000";
  context.fillRect(0, 0, SIDE, SIDE);
  Object.assign(context, { strokeStyle: "#fff", lineWidth: BRUSH, lineCap: "round", lineJoin: "round" });
  for (const { points, image } of strokes) {
    if (image) {
      context.drawImage(image, 0, 0, SIDE, SIDE);
      continue;
    }
    context.beginPath();
    context.moveTo(...points[0]);
    if (points.length === 1) context.lineTo(points[0][0] + 0.01, points[0][1]);
    for (const to of points.slice(1)) context.lineTo(...to);
    context.stroke();
  }
  const over = parts.over.getContext("2d");
  over.clearRect(0, 0, SIDE, SIDE);
  if (cursor.shown) {
    over.strokeStyle = "#f5a300";
    over.lineWidth = 2;
    over.strokeRect(cursor.x - BRUSH / 2, cursor.y - BRUSH / 2, BRUSH, BRUSH);
  }
  ask();
}

function clear() {
  strokes.length = 0;
  app.set({ test: null });
  paint();
}

function undo() {
  strokes.pop();
  changed();
}

// The cursor of the keyboard; with Shift it draws on its way.
function go(right, down, event) {
  const to = (value) => Math.min(SIDE - STEP / 2, Math.max(STEP / 2, value));
  const before = [cursor.x, cursor.y];
  [cursor.x, cursor.y] = [to(cursor.x + right * STEP), to(cursor.y + down * STEP)];
  if (event.shiftKey) strokes.push({ points: [before, [cursor.x, cursor.y]] });
  cursor.shown = true;
  paint();
}

function dot() {
  strokes.push({ points: [[cursor.x, cursor.y]] });
  cursor.shown = true;
  paint();
}

function another(by) {
  app.set({ test: app.state.test === undefined ? Number(parts.test.value) : (app.number("test", 0) + by) % app.info.digits });
}

function centre() {
  parts.centre.click();
}

// A digit of the test images instead of a drawing.
async function load() {
  const here = mounted, test = app.number("test", 0);
  parts.test.value = `${test}`;
  try {
    const { sections: { image } } = await app.call("picture", { image: `digit:${test}` });
    if (here !== mounted) return;
    const [, rows, columns] = image.shape, canvas = new OffscreenCanvas(columns, rows);
    const pixels = new ImageData(columns, rows);
    image.data.forEach((value, i) => pixels.data.set([255 * value, 255 * value, 255 * value, 255], 4 * i));
    canvas.getContext("2d").putImageData(pixels, 0, 0);
    strokes.splice(0, strokes.length, { image: canvas });
    app.fail(null);
    paint();
  } catch (error) {
    app.fail(error);
  }
}

// --- what the network makes of it ---------------------------------------------------------------------------------------

const ask = latest(async () => {
  const here = mounted;
  const { data } = parts.paper.getContext("2d", { willReadFrequently: true }).getImageData(0, 0, SIDE, SIDE);
  const ink = new Float32Array(SIDE * SIDE);
  let some = false;
  for (let i = 0; i < ink.length; i++) {
    ink[i] = data[4 * i] / 255;
    some ||= data[4 * i] > 0;
  }
  if (!some) {
    seen = null;
    return nothing();
  }
  try {
    const answer = await app.call("forward", { image: "ink", centre: app.get("centre", "1") === "1" },
      { image: { data: ink, shape: [1, SIDE, SIDE] } });
    if (here !== mounted) return;
    seen = answer;
    app.fail(null);
    draw();
  } catch (error) {
    if (here === mounted) app.fail(error);
  }
});

function ranked() {
  const { data } = seen.sections.probabilities;
  return [...data.keys()].sort((a, b) => data[b] - data[a]);
}

function percent(best, less) {
  const { data } = seen.sections.probabilities;
  return (100 * (data[best] - (less === undefined ? 0 : data[less]))).toFixed(1);
}

// An empty paper is no digit.
function nothing() {
  parts.answer.textContent = app.t("draw.empty");
  parts.untrained.hidden = app.info.trained;
  for (const element of [parts.bars, parts.maps]) element.replaceChildren();
  const [, rows, columns] = app.info.shape;
  fit(parts.sees, rows, columns, 140);
  heatmap(parts.sees, new Float32Array(rows * columns), rows, columns, { symmetric: false, scale: [0, 1] });
  app.announce();
}

function draw() {
  const { head, sections } = seen, { t, info } = app, { data } = sections.probabilities;
  const [, rows, columns] = sections.x.shape;
  fit(parts.sees, rows, columns, 140);
  heatmap(parts.sees, sections.x.data.subarray(0, rows * columns), rows, columns, { symmetric: false });
  grid(parts.sees, rows, columns);
  const order = ranked(), [best, second] = order;
  const listed = data.length > MOST_BARS ? order.slice(0, MOST_BARS) : [...data.keys()];
  parts.answer.replaceChildren(h("strong", { id: "prediction" }, info.classes[best]),
    ` ${percent(best)} %`, h("small", {}, t("draw.margin", { second: info.classes[second], margin: percent(best, second) })));
  parts.untrained.hidden = head.trained;
  if (parts.bars.children.length !== listed.length) {
    parts.bars.replaceChildren(...listed.map(() => h("li", {}, h("b"), h("i", {}, h("u")), h("span"))));
  }
  listed.forEach((k, i) => {
    const bar = parts.bars.children[i], [name, , text] = bar.children;
    bar.className = k === best ? "best" : "";
    bar.dataset.value = data[k];
    name.textContent = info.classes[k];
    bar.querySelector("u").style.transform = `scaleX(${data[k]})`;
    text.textContent = data[k] < 0.0005 ? "0" : show(100 * data[k], 3) + " %";
  });
  layers(head.layers, sections);
  app.announce();
}

// A strip of maps for each layer that has some.
function layers(list, sections) {
  const planes = list.map((layer, i) => ({ ...layer, maps: sections[`maps${i}`] })).filter(({ shape }) => shape.length === 3);
  if (parts.maps.children.length !== planes.length) {
    parts.maps.replaceChildren(...planes.map(() => h("figure", {}, h("figcaption"), h("canvas", { role: "img" }))));
  }
  planes.forEach(({ name, shape: [count, rows, columns], maps }, i) => {
    const [caption, canvas] = parts.maps.children[i].children, shown = Math.min(count, MOST_TILES);
    caption.textContent = `${name} · ${count} × ${rows} × ${columns}`;
    canvas.setAttribute("aria-label", caption.textContent);
    const wide = Math.max(1, Math.min(shown, Math.floor(parts.maps.clientWidth / 56)));
    tiles(canvas, maps.data, [shown, rows, columns], 52, wide);
  });
}
