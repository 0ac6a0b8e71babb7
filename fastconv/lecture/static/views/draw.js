// Draw a digit: what the network sees of it, how sure it is, and the maps in between.

import { fit, grid, heatmap, Plane } from "../canvas.js";
import { button, field, figure, h, number, picture, refill, show } from "../dom.js";
import { mosaic } from "../mosaic.js";

const SIDE = 280, BRUSH = 20, STEP = 10;
const MOST_BARS = 10, MOST_TILES = 16;

let app, parts, paper, strokes, under, cursor, seen, ask;

export default {
  id: "draw",
  keys: {
    ArrowUp: (event) => go(0, -1, event), ArrowDown: (event) => go(0, 1, event),
    ArrowLeft: (event) => go(-1, 0, event), ArrowRight: (event) => go(1, 0, event),
    " ": () => dot(), Backspace: () => undo(), c: () => clear(), n: () => another(), m: () => parts.centre.click(),
  },

  mount(element, application) {
    [app, seen, under] = [application, null, null];
    ask = app.question(forward, draw);
    strokes = strokesOf(app.get("strokes", ""));
    cursor = { x: SIDE / 2, y: SIDE / 2, shown: false };
    const { t } = app;
    paper = new Plane("paper", { id: "paper", tabIndex: 0, width: SIDE, height: SIDE });
    paper.base.getContext("2d", { willReadFrequently: true });
    paper.cover();
    paper.name(t("draw.paper"));
    parts = {
      sees: picture(t("draw.sees"), { id: "sees" }), answer: h("p", { class: "answer" }), bars: h("ol", { class: "bars" }),
      maps: h("div", { class: "maps" }), untrained: h("p", { class: "untrained", hidden: true }, t("draw.untrained")),
      test: number(app.number("test", 0), { min: 0, max: app.info.digits - 1 }, take),
      centre: h("input", { type: "checkbox", checked: centred(),
        onchange: () => app.set({ centre: parts.centre.checked ? null : "0" }) }),
    };
    element.append(
      h("section", { class: "pad" }, paper.figure,
        h("div", { class: "buttons" }, button(t("draw.clear"), clear), button(t("draw.undo"), undo),
          button(t("draw.another"), another)),
        field(t("draw.test"), parts.test),
        h("label", { class: "check" }, parts.centre, t("draw.centre"))),
      h("section", { class: "answers" }, figure(t("draw.sees"), parts.sees),
        h("div", {}, parts.answer, parts.bars, parts.untrained)),
      h("section", { class: "inside" }, h("h2", {}, t("draw.maps")), parts.maps));
    listen(paper.over);
    load();
  },

  update(names) {
    if (names.includes("test")) return load();
    parts.centre.checked = centred();
    paint();
  },

  describe() {
    if (!seen) return app.t("draw.empty");
    const [best, second] = ranked();
    return app.t("draw.said", { best: app.info.classes[best], percent: percent(best), second: app.info.classes[second],
      margin: percent(best, second) });
  },

  code: () => (seen ? seen.head.code : `# ${app.t("draw.empty")}`),

  arrays: () => (seen ? { image: seen.sections.x, ...seen.sections } : {}),
};

const centred = () => app.get("centre", "1") === "1";

// --- the strokes in the address ---------------------------------------------------------------------------------------

// A stroke is its points, each four letters: x and y from -FAR on, in base 36. Between strokes there is a dot.
const FAR = 500, LETTERS = 36;

function textOf(stroke) {
  const letters = (value) => Math.min(LETTERS ** 2 - 1, Math.max(0, value + FAR)).toString(LETTERS).padStart(2, "0");
  return stroke.flat().map(letters).join("");
}

function strokesOf(text) {
  const point = (letters) => [letters.slice(0, 2), letters.slice(2)].map((one) => parseInt(one, LETTERS) - FAR);
  return text.split(".").map((stroke) => (stroke.match(/[0-9a-z]{4}/g) ?? []).map(point)).filter(({ length }) => length);
}

// --- drawing ----------------------------------------------------------------------------------------------------------

function listen(canvas) {
  const point = (event) => {
    const bounds = canvas.getBoundingClientRect(), scale = SIDE / bounds.width;
    return [(event.clientX - bounds.left) * scale, (event.clientY - bounds.top) * scale].map(Math.round);
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    paper.base.focus({ preventScroll: true });
    stroke([point(event)]);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!canvas.hasPointerCapture(event.pointerId)) return;
    const events = event.getCoalescedEvents?.() ?? [];
    stroke([...strokes.pop() ?? [], ...(events.length ? events : [event]).map(point)]);
  });
}

// Puts a stroke on top.
function stroke(points, keyboard = false) {
  strokes.push(points);
  cursor.shown = keyboard;
  app.set({ strokes: strokes.map(textOf).join(".") });
}

function paint() {
  const context = paper.base.getContext("2d");
  context.fillStyle = "#000";
  context.fillRect(0, 0, SIDE, SIDE);
  if (under) context.drawImage(under, 0, 0, SIDE, SIDE);
  Object.assign(context, { strokeStyle: "#fff", lineWidth: BRUSH, lineCap: "round", lineJoin: "round" });
  for (const [first, ...way] of strokes) {
    context.beginPath();
    context.moveTo(...first);
    context.lineTo(first[0] + 0.01, first[1]); // a dot
    for (const to of way) context.lineTo(...to);
    context.stroke();
  }
  mark();
  ask();
}

// The cursor of the keyboard.
function mark() {
  paper.clear();
  if (cursor.shown) paper.box(cursor.y - BRUSH / 2, cursor.x - BRUSH / 2, BRUSH, BRUSH, "#f5a300");
}

function clear() {
  strokes = [];
  app.set({ test: null, strokes: null });
}

// Takes the last stroke away, or the test image that is under them.
function undo() {
  if (!strokes.pop()) return app.set({ test: null });
  app.set({ strokes: strokes.map(textOf).join(".") });
}

// The cursor moves; with Shift it draws on its way.
function go(right, down, event) {
  const to = (value) => Math.min(SIDE - STEP / 2, Math.max(STEP / 2, value));
  const before = [cursor.x, cursor.y];
  cursor = { x: to(cursor.x + right * STEP), y: to(cursor.y + down * STEP), shown: true };
  if (event.shiftKey) stroke([before, [cursor.x, cursor.y]], true);
  else mark();
}

function dot() {
  stroke([[cursor.x, cursor.y]], true);
}

// A test image instead of a drawing.
function take(test) {
  strokes = [];
  app.set({ test, strokes: null });
}

function another() {
  take(app.state.test === undefined ? Number(parts.test.value) : (app.number("test", 0) + 1) % app.info.digits);
}

// Fetches the test image, if there is to be one.
async function load() {
  const { test } = app.state;
  under = null;
  parts.test.value = test ?? parts.test.value;
  try {
    if (test !== undefined) {
      const { sections: { image } } = await app.call("picture", { image: `digit:${app.number("test", 0)}` });
      if (test !== app.state.test) return;
      const [, rows, columns] = image.shape;
      under = new OffscreenCanvas(columns, rows);
      heatmap(under, image.data, rows, columns, { symmetric: false, scale: [0, 1], at: [0, 0, columns, rows] });
    }
    paint();
  } catch (error) {
    app.fail(error);
  }
}

// --- what the network makes of it ---------------------------------------------------------------------------------------

// Null for an empty paper, which is no digit.
async function forward() {
  const { data } = paper.base.getContext("2d").getImageData(0, 0, SIDE, SIDE), ink = new Uint8Array(SIDE * SIDE);
  for (let i = 0; i < ink.length; i++) ink[i] = data[4 * i];
  if (!ink.some((value) => value > 0)) return null;
  return app.call("forward", { image: "ink", centre: centred() }, { image: { data: ink, shape: [1, SIDE, SIDE] } });
}

function ranked() {
  const { data } = seen.sections.probabilities;
  return [...data.keys()].sort((a, b) => data[b] - data[a]);
}

function percent(best, less) {
  const { data } = seen.sections.probabilities;
  return (100 * (data[best] - (less === undefined ? 0 : data[less]))).toFixed(1);
}

function draw(answer) {
  seen = answer;
  const [, rows, columns] = app.info.shape, x = seen ? seen.sections.x.data : new Float32Array(rows * columns);
  fit(parts.sees, rows, columns, 140);
  heatmap(parts.sees, x.subarray(0, rows * columns), rows, columns, { symmetric: false, scale: seen ? undefined : [0, 1] });
  grid(parts.sees, rows, columns);
  parts.untrained.hidden = app.info.trained;
  app.announce();
  if (seen) return answers();
  parts.answer.textContent = app.t("draw.empty");
  for (const element of [parts.bars, parts.maps]) refill(element);
}

function answers() {
  const { head, sections } = seen, { t, info } = app, { data } = sections.probabilities;
  const order = ranked(), [best, second] = order;
  const listed = data.length > MOST_BARS ? order.slice(0, MOST_BARS) : [...data.keys()];
  refill(parts.answer, h("strong", { id: "prediction" }, info.classes[best]),
    ` ${percent(best)} %`, h("small", {}, t("draw.margin", { second: info.classes[second], margin: percent(best, second) })));
  parts.untrained.hidden = head.trained;
  if (parts.bars.children.length !== listed.length) {
    refill(parts.bars, listed.map(() => h("li", {}, h("b"), h("i", {}, h("u")), h("span"))));
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
}

// A strip of maps for each layer that has some.
function layers(list, sections) {
  const planes = list.map((layer, i) => ({ ...layer, maps: sections[`maps${i}`] })).filter(({ shape }) => shape.length === 3);
  if (parts.maps.children.length !== planes.length) {
    refill(parts.maps, planes.map(() => figure("", picture(""))));
  }
  planes.forEach(({ name, shape: [count, rows, columns], maps }, i) => {
    const [caption, canvas] = parts.maps.children[i].children, shown = Math.min(count, MOST_TILES);
    caption.textContent = `${name} · ${count} × ${rows} × ${columns}`;
    canvas.setAttribute("aria-label", caption.textContent);
    const wide = Math.max(1, Math.min(shown, Math.floor(parts.maps.clientWidth / 56)));
    mosaic(canvas, { data: maps.data.subarray(0, shown * rows * columns), shape: [shown, rows, columns] },
      { width: 56 * wide, height: Infinity, wrap: wide });
  });
}
