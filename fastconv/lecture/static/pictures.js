// The picture that a view is about: one of the digits, or a file of one's own, which never leaves this computer: its
// pixels stand in the address, as a PNG behind the #, if there is room for them.

import { field, h, number, select } from "./dom.js";

const MOST = 224; // pixels of the longer side of a file's picture

let kept = {}; // the file's picture: its text in the address, and its image

// Controls that set app.state.image.
export function picker(app) {
  const image = name(app), [kind, at] = image.split(":");
  const shown = kind === "digit" ? kind : image;
  const list = select(["digit", "sample:still-life", "sample:house", "upload"].map((one) => [one, app.t(`image.${one}`)]),
    shown, (value) => {
      list.value = shown;
      if (value === "upload") file.click();
      else choose(app, value === "digit" ? `digit:${app.shared.digit ?? 0}` : value);
    });
  const file = h("input", { type: "file", accept: "image/*", hidden: true,
    onchange: () => file.files[0] && take(app, file.files[0]) });
  const digit = number(Number(at) || 0, { min: 0, max: app.info.digits - 1 }, (value) => {
    app.shared.digit = value;
    choose(app, `digit:${value}`);
  });
  return [field(app.t("image"), list), kind === "digit" && field(app.t("image.number"), digit), file];
}

export function choose(app, image, more = {}) {
  app.set({ image, picture: null, ...more });
}

// The picture's name in a request: an address may speak of a file and not have it.
export function name(app) {
  const { image } = app.state, there = app.state.picture ?? kept.text;
  return image && (image !== "upload" || there) ? image : `digit:${Math.min(3, app.info.digits - 1)}`;
}

// The section that goes with a request about the picture.
export async function sections(app) {
  if (name(app) !== "upload") return {};
  const { picture: text = kept.text } = app.state;
  if (text !== kept.text) {
    try {
      const png = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
      kept = { text, image: planes(shrunk(await createImageBitmap(new Blob([png])))) };
    } catch {
      throw new Error(app.t("image.unreadable", { name: "picture" }));
    }
  }
  return { image: kept.image };
}

// Channels of the picture, with the sections that go with it.
export function channels(app, { image }) {
  const named = name(app);
  return image?.shape[0] ?? (named.startsWith("digit:") ? app.info.channels : named === "sample:still-life" ? 3 : 1);
}

async function take(app, file) {
  try {
    const png = await shrunk(await createImageBitmap(file)).canvas.convertToBlob();
    const letters = Array.from(new Uint8Array(await png.arrayBuffer()), (byte) => String.fromCharCode(byte));
    app.set({ image: "upload", picture: btoa(letters.join("")) });
  } catch {
    app.fail(app.t("image.unreadable", { name: file.name }));
  }
}

// A bitmap, drawn no larger than is shown.
function shrunk(bitmap) {
  const scale = Math.min(1, MOST / Math.max(bitmap.width, bitmap.height));
  const [columns, rows] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
  const context = new OffscreenCanvas(columns, rows).getContext("2d");
  context.imageSmoothingQuality = "high";
  context.fillStyle = "#fff"; // under what is transparent
  context.fillRect(0, 0, columns, rows);
  context.drawImage(bitmap, 0, 0, columns, rows);
  return context;
}

// Red, green, blue from 0 to 255; one plane if the picture is grey.
function planes(context) {
  const { data, width, height } = context.getImageData(0, 0, context.canvas.width, context.canvas.height);
  const plane = width * height, pixels = new Uint8Array(3 * plane);
  let grey = true;
  for (let i = 0; i < plane; i++) {
    for (let c = 0; c < 3; c++) pixels[c * plane + i] = data[4 * i + c];
    grey &&= data[4 * i] === data[4 * i + 1] && data[4 * i] === data[4 * i + 2];
  }
  return grey ? { data: pixels.slice(0, plane), shape: [1, height, width] }
    : { data: pixels, shape: [3, height, width] };
}
