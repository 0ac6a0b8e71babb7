// Network: one image on its way through the model, every map of every layer; a map of a convolution opens Slide there.

import { limit } from "../canvas.js";
import { button, field, h, refill, select, show } from "../dom.js";
import { readable, thumbnail } from "../mosaic.js";
import * as pictures from "../pictures.js";

const MOST = 64; // maps of a layer that are shown
const SCALES = ["layer", "map", "model"];

let app, parts, seen, ask;

export default {
  id: "network",
  keys: {
    ArrowRight: () => other(1), ArrowLeft: () => other(-1),
    s: () => app.set({ scale: SCALES[(SCALES.indexOf(scale()) + 1) % SCALES.length] }),
  },

  mount(element, application) {
    [app, seen] = [application, null];
    ask = app.question(async () => app.call("forward", { image: pictures.name(app) }, await pictures.sections(app)),
      (answer) => {
        seen = answer;
        draw();
      });
    parts = { controls: h("div", { class: "steer" }), said: h("p", { class: "note pointed" }),
      layers: h("div", { class: "layers" }) };
    element.append(parts.controls, parts.said, parts.layers);
    controls();
    ask();
  },

  update(names) {
    controls();
    if (names.includes("image") || names.includes("picture")) ask();
    else if (seen) draw();
  },

  describe() {
    if (!seen) return "";
    const { prediction, layers, trained } = seen.head;
    return app.t("network.said", { layers: layers.length, prediction: app.info.classes[prediction],
      probability: show(100 * seen.sections.probabilities.data[prediction], 3) }) + (trained ? "" : ` ${app.t("untrained")}`);
  },

  code: () => seen.head.code,

  arrays: () => ({ image: seen.sections.x, ...seen.sections }),
};

const scale = () => app.get("scale", "layer");

function other(by) {
  const at = Number(pictures.name(app).split(":")[1]), { digits } = app.info;
  pictures.choose(app, `digit:${Number.isNaN(at) ? 0 : (at + by + digits) % digits}`);
}

function controls() {
  refill(parts.controls, pictures.picker(app),
    field(app.t("network.scale"), select(SCALES.map((one) => [one, app.t(`network.scale.${one}`)]), scale(),
      (value) => app.set({ scale: value }))));
}

function draw() {
  const { head: { layers }, sections } = seen, { t } = app;
  const all = Math.max(...layers.map((_, i) => limit(sections[`maps${i}`].data)));
  let convolution = null; // whose filters the channels still are
  refill(parts.layers,
    section(h("h2", {}, t("image"), h("small", {}, ` ${sections.x.shape.join(" × ")}`)), [thumbnail(sections.x, 84, t("image"))]),
    layers.map((layer, i) => {
      if (app.info.layers.some(({ path }) => path === layer.path)) convolution = layer;
      else if (layer.shape.length < 3 || layer.shape[0] !== convolution?.shape[0]) convolution = null;
      const array = sections[`maps${i}`], most = { layer: limit(array.data), model: all }[scale()];
      return block(layer, array, most, convolution?.path, i === layers.length - 1);
    }));
  app.announce();
}

function section(...inside) {
  return h("section", { class: "layer" }, inside.slice(0, -1), h("div", { class: "tiles" }, inside.at(-1)));
}

// A layer: its name, shape, numbers to learn and formula, and a tile for each channel.
function block({ name, shape, parameters, formula }, array, most, convolution, last) {
  const { t } = app, say = (text) => (parts.said.textContent = text), [channels, rows, columns] = shape;
  const about = [shape.join(" × "), parameters && t("network.parameters", { count: parameters.toLocaleString("en") }),
    most && `±${show(most, 3)}`].filter(Boolean).join(" · ");
  const width = parts.layers.clientWidth - 26, side = Math.min(84, Math.floor(width / 4) - 10);
  const tile = (k) => {
    const data = array.data.subarray(k * rows * columns, (k + 1) * rows * columns);
    const map = readable(`${name}[${k}]`, { data, shape: [rows, columns] }, { width: side, height: side, scale: most }, say);
    return convolution ? button(map, () => open(convolution, k), { class: "tile", title: t("network.open") }) : map;
  };
  const tiles = shape.length === 3 ? [...Array(Math.min(channels, MOST)).keys()].map(tile)
    : [readable(name, array, { width, scale: most }, say)];
  if (last && shape[0] <= 20) {
    const names = h("p", { class: "names" }, app.info.classes.map((one) => h("span", {}, one)));
    names.style.width = tiles[0].style.width;
    tiles.splice(0, 1, h("div", {}, tiles[0], names));
  }
  if (shape.length === 3 && channels > MOST) tiles.push(h("p", { class: "note" }, t("network.more", { count: channels - MOST })));
  return section(h("h2", {}, name, h("small", {}, ` ${about}`)), h("p", { class: "formula" }, formula.map((text, axis) =>
    h("span", {}, `O${"HW"[axis]} = ${text.replaceAll("*", "·").replaceAll("-", "−")}`))), tiles);
}

function open(layer, k) {
  const fresh = ["filter", "w", "stride", "padding", "dilation", "padding_mode", "padding_value", "bias", "activation",
    "channel", "row", "column"];
  app.set({ ...Object.fromEntries(fresh.map((name) => [name, null])), view: "slide", layer, k });
}
