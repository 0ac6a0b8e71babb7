// Backward: the gradient of one image's loss on its way back, layer by layer; the products that make one number of a
// filter's gradient; the step of gradient descent that follows; and a finite difference beside it.

import { Plane } from "../canvas.js";
import { button, exact, field, figure, h, number, refill, select, show, sign } from "../dom.js";
import { index, mosaic, readable, thumbnail } from "../mosaic.js";
import * as pictures from "../pictures.js";

const MOST = 32; // channels of a gradient that are shown
const CURRENT = "#18a558";

let app, root, parts, seen, ask, planes;

export default {
  id: "backward",
  keys: {
    ArrowUp: () => move(2, -1), ArrowDown: () => move(2, 1), ArrowLeft: () => move(3, -1), ArrowRight: () => move(3, 1),
    f: () => move(0, 1), c: () => move(1, 1), s: () => step(1), z: () => step(-1), d: () => check(),
  },

  mount(element, application) {
    [app, root, seen] = [application, element, null];
    ask = app.question(async () => app.call("backward", request(), await pictures.sections(app)), (answer) => {
      seen = answer;
      draw();
    });
    parts = { controls: h("div", { class: "steer" }), loss: h("section", { class: "layer" }),
      said: h("p", { class: "note pointed" }), layers: h("div", { class: "layers" }), check: h("p", { class: "formula" }) };
    element.append(parts.controls, parts.loss, parts.said, parts.layers);
    controls();
    ask();
  },

  update(names) {
    if (names.every((name) => ["weight", "layer"].includes(name))) return seen && mark();
    controls();
    ask();
  },

  describe() {
    if (!seen) return "";
    const { losses, loss_after: after, prediction, label } = seen.head, { classes } = app.info, one = looked();
    return app.t("backward.said", { loss: show(losses.at(-1), 4), after: show(after, 4), label: classes[label],
      prediction: classes[prediction] })
      + (one ? ` ${app.t("backward.said.weight", { place: one.place.join(", "), value: show(one.kernel, 4) })}` : "");
  },

  code() {
    const { layer, place } = looked() ?? {};
    return seen.head.code + (layer ? seen.head.look.replaceAll("LAYER", layer.path).replaceAll("PLACE", place.join(", ")) : "");
  },

  arrays: () => ({ image: seen.sections.x, ...seen.sections }),
};

// --- what is asked of the server ------------------------------------------------------------------------------------

// The class is what the address says, or a digit's own.
function request() {
  const { labels, classes } = app.info, image = pictures.name(app), own = labels[image.split(":")[1]] ?? 0;
  return { image, label: Math.min(app.number("label", own), classes.length - 1), lr: app.number("lr", 0.05),
    steps: app.number("steps", 0) };
}

function controls() {
  const { t } = app, { label, lr, steps } = request(), focus = document.activeElement?.id;
  const stepping = (id, by, disabled) => button(t(`backward.${id}`), () => step(by), { id, disabled });
  refill(parts.controls, pictures.picker(app),
    field(t("backward.label"), select(app.info.classes.map((name, i) => [`${i}`, name]), `${label}`,
      (value) => app.set({ label: value, steps: null }))),
    field(t("train.lr"), number(lr, { min: 0, max: 10, step: "any" }, (value) => app.set({ lr: value }))),
    h("div", { class: "play" }, stepping("sgd", 1), stepping("undo", -1, !steps),
      h("span", { class: "note" }, t("backward.steps", { steps }))));
  document.getElementById(focus)?.focus();
}

function step(by) {
  app.set({ steps: Math.min(50, Math.max(0, app.number("steps", 0) + by)) || null });
}

async function check() {
  const one = looked();
  if (!one) return;
  try {
    const { head } = await app.call("check", { ...request(), name: `${one.layer.path}.weight`, index: one.place },
      await pictures.sections(app));
    const value = (name) => show(head[name], 8);
    parts.check.replaceChildren(`(${value("loss_above")} − ${value("loss_below")}) / (2 · ${head.step}) = `,
      h("output", { id: "difference", "data-value": `${head.difference}` }, value("difference")),
      ` ${app.t("backward.checked", { gradient: value("gradient") })}`);
    app.announce(parts.check.textContent);
  } catch (error) {
    app.fail(error);
  }
}

// --- the number of a filter's gradient that is looked at --------------------------------------------------------------

const gradient = (path) => seen.sections[`gradient:${path}.weight`];

// The number that the address means: its layer and place, the pixels and gradients that are multiplied, and their sum.
function looked() {
  const all = seen?.head.layers.filter(({ kind, path }) => kind === "Conv2d" && gradient(path)) ?? [];
  const layer = all.find(({ path }) => path === app.get("layer")) ?? all[0];
  if (!layer) return null;
  const { shape, data } = gradient(layer.path), number = seen.head.layers.indexOf(layer), [rows, columns] = layer.formula;
  const at = Math.min(data.length - 1, Math.max(0, app.number("weight", 0))), place = index(at, shape), [k, c, r, s] = place;
  const padded = seen.sections[`padded${number}`], [, height, width] = padded.shape, plane = rows.outputs * columns.outputs;
  const channel = Math.floor(k / (shape[0] / layer.groups)) * shape[1] + c;
  const gradients = seen.sections[`grad_output${number}`].data.subarray(k * plane, (k + 1) * plane);
  const pixels = gradients.map((_, i) => padded.data[(channel * height + r * rows.dilation
    + Math.floor(i / columns.outputs) * rows.stride) * width + s * columns.dilation + (i % columns.outputs) * columns.stride]);
  const products = pixels.map((pixel, i) => pixel * gradients[i]); // as float32, which the array keeps
  return { layer, at, place, shape, pixels, gradients, products, total: products.reduce((a, b) => a + b, 0), kernel: data[at],
    size: [rows.outputs, columns.outputs] };
}

// To the next number along an axis of the filters.
function move(axis, by) {
  const one = looked();
  if (!one) return;
  const place = one.place.with(axis, (one.place[axis] + by + one.shape[axis]) % one.shape[axis]);
  app.set({ layer: one.layer.path, weight: place.reduce((at, i, along) => at * one.shape[along] + i, 0) });
}

// --- drawing ----------------------------------------------------------------------------------------------------------

const say = (text) => (parts.said.textContent = text);

function draw() {
  drawLoss();
  planes = {};
  refill(parts.layers, seen.head.layers.map(block).reverse());
  mark();
}

function drawLoss() {
  const { head, sections } = seen, { t } = app, { classes } = app.info, { label, losses } = head, loss = losses.at(-1);
  const cell = ({ data }, i) => {
    const bar = h("i", { class: data[i] < 0 ? "bar below" : "bar" });
    bar.style.setProperty("--part", Math.abs(data[i]));
    return h("td", { "data-value": exact(data[i]) }, h("span", {}, show(data[i], 3)), bar);
  };
  const arrays = [sections.probabilities, sections.onehot, sections.error];
  const output = (id, value) => h("output", { id, "data-value": `${value}` }, show(value, 5));
  refill(parts.loss,
    h("h2", {}, t("backward.loss"), h("small", {}, head.trained ? "" : ` ${t("untrained")}`)),
    h("div", { class: "tiles" }, thumbnail(sections.x, 112, t("image")),
      h("div", { class: "scroll" }, h("table", { class: "classes" },
        h("thead", {}, h("tr", {}, [t("backward.class"), "p", "onehot", "p − onehot"].map((name) => h("th", { scope: "col" }, name)))),
        h("tbody", {}, classes.map((name, i) => h("tr", { class: i === label ? "truth" : "" },
          h("th", { scope: "row" }, i === label ? `${name} ✓` : name), arrays.map((array) => cell(array, i))))))),
      h("div", {},
        h("p", { class: "formula" }, `loss = −log p[${classes[label]}] = −log ${show(sections.probabilities.data[label], 4)} = `,
          output("loss", loss)),
        h("p", { class: "formula" }, `${t("backward.after")} `, output("loss-after", head.loss_after), ` (${show(head.loss_after - loss, 3)})`),
        h("p", { class: "note" }, losses.length > 1 ? `${t("backward.so.far")} ${losses.map((one) => show(one, 3)).join(" → ")}` : ""))));
}

// A layer on the way back: what comes, what lets it pass, what leaves, and what it learns.
function block(layer, at) {
  const { t } = app, { sections } = seen, { kind, path, name } = layer, rule = t(`rule.${kind}`);
  const input = sections[`input${at}`], open = { ...input, data: new Float32Array(input.data.length) };
  if (kind === "ReLU") input.data.forEach((value, i) => (open.data[i] = value > 0));
  const winners = sections[`winners${at}`], plane = (shape) => shape[1] * shape[2];
  winners?.data.forEach((place, i) => (open.data[Math.floor(i / plane(winners.shape)) * plane(input.shape) + place] = 1));
  const learnt = gradient(path), maps = [["comes", sections[`grad_output${at}`]]];
  if (winners || kind === "ReLU") maps.push([`open.${kind}`, open]);
  maps.push(["leaves", sections[`grad_input${at}`]]);
  if (learnt?.shape.length === 2) maps.push(["weights", learnt]);
  const figures = maps.map(([key, array]) => figure(t(`backward.${key}`), readable(`${name}, ${t(`backward.${key}`)}`, few(array),
    { width: width() }, say)));
  const detail = h("div", { class: "detail" });
  if (kind === "Conv2d" && learnt) figures.push(filters(layer, learnt, detail));
  const norms = layer.parameters.map((one) => `${one.name} ${one.shape.join(" × ")}: ‖g‖ = ${show(one.norm, 3)}`);
  return h("section", { class: "layer" },
    h("h2", {}, name, h("small", {}, ` ${layer.output_shape.join(" × ")} → ${layer.input_shape.join(" × ")} · ‖g‖ `
      + layer.norms.map((norm) => show(norm, 3)).join(" → "))),
    h("p", { class: "rule" }, rule === `rule.${kind}` ? t("rule.other") : rule),
    h("div", { class: "tiles" }, figures), h("p", { class: "note" }, norms.join(" · ")), detail);
}

const width = () => Math.min(root.clientWidth - 26, root.clientWidth > 900 ? 380 : 460);

// As many channels as are shown.
function few({ data, shape }) {
  if (shape.length < 3 || shape[0] <= MOST) return { data, shape };
  return { data: data.subarray(0, MOST * shape[1] * shape[2]), shape: [MOST, ...shape.slice(1)] };
}

// The gradient of a layer's filters, of which each number can be looked at.
function filters({ path }, learnt, detail) {
  const plane = new Plane("gradient", { tabIndex: 0 }), { base, over } = plane;
  plane.name(app.t("backward.filters"));
  mosaic(base, learnt, { width: width() });
  over.dataset.path = path;
  plane.cover();
  const look = (event) => base.at(event) >= 0 && app.set({ layer: path, weight: base.at(event) });
  over.addEventListener("pointermove", look);
  over.addEventListener("click", (event) => (look(event), base.focus()));
  planes[path] = { plane, detail };
  return plane.figure;
}

// The number that is looked at: its products, the step, and a finite difference when it is asked for.
function mark() {
  const one = looked(), { t } = app;
  app.announce();
  for (const { plane, detail } of Object.values(planes)) {
    plane.clear();
    refill(detail);
  }
  if (!one) return;
  const { plane: { base }, plane, detail } = planes[one.layer.path], side = Math.min(150, (root.clientWidth - 80) / 3);
  plane.box(...base.frame(one.at), 1, 1, CURRENT, 2.5);
  const factor = (key, data) => figure(t(`backward.${key}`), readable(t(`backward.${key}`), { data, shape: one.size },
    { width: side, height: side }, say));
  const part = (name) => seen.sections[`${name}:${one.layer.path}.weight`].data[one.at];
  const difference = Math.fround(one.total) - one.kernel;
  refill(parts.check);
  refill(detail, h("h3", {}, t("backward.weight", { place: one.place.join(", ") })),
    h("div", { class: "tiles" }, factor("pixels", one.pixels), sign("×"), factor("gradients", one.gradients), sign("="),
      factor("products", one.products)),
    h("p", { class: "formula" }, `Σ = ${show(Math.fround(one.total), 6)}, ${t("backward.kernel")} `,
      h("output", { id: "kernel", "data-value": exact(one.kernel) }, show(one.kernel, 6)),
      h("small", {}, difference ? ` ${t("backward.rounding", { by: show(difference, 3) })}` : "")),
    h("p", { class: "formula" }, `w − lr · g = ${show(part("before"), 5)} − ${seen.head.lr} · ${show(one.kernel, 5)} = `,
      h("output", { id: "after", "data-value": exact(part("after")) }, show(part("after"), 6))),
    h("p", { class: "play" }, button(t("backward.check"), check, { id: "check" })), parts.check);
}
