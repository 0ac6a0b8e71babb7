// The picture that a view is about: one of the digits, or a file of one's own, which never leaves this computer.

import { field, h, number, select } from "./dom.js";

const MOST = 224; // pixels of the longer side of a file's picture

// Controls that set app.state.image.
export function picker(app) {
  const image = app.get("image", "digit:3"), [kind, at] = image.split(":");
  const choose = (value) => {
    if (value === "upload") file.click();
    else app.set({ image: value === "digit" ? `digit:${app.shared.digit ?? 3}` : value });
    list.value = shown(app.get("image", "digit:3"));
  };
  const file = h("input", { type: "file", accept: "image/*", hidden: true, onchange: async () => {
    if (file.files[0]) await take(app, file.files[0]);
  } });
  const shown = (one) => (one.startsWith("digit") ? "digit" : one);
  const options = ["digit", "sample:still-life", "sample:house", "upload"].map((one) => [one, app.t(`image.${one}`)]);
  const list = select(options, shown(image), choose);
  const digit = number(Number(at) || 0, { min: 0, max: app.info.digits - 1 }, (value) => {
    app.shared.digit = value;
    app.set({ image: `digit:${value}` });
  });
  return [field(app.t("image"), list), kind === "digit" ? field(app.t("image.number"), digit) : null, file];
}

// The section that goes with a request about app.state.image.
export function sections(app) {
  return app.get("image") === "upload" && app.shared.upload ? { image: app.shared.upload } : {};
}

// The picture's name in a request: an address may speak of a file that is not here any more.
export function name(app) {
  const image = app.get("image", "digit:3");
  return image === "upload" && !app.shared.upload ? "digit:3" : image;
}

export function channels(app) {
  const image = name(app);
  return image === "upload" ? app.shared.upload.shape[0] : image === "sample:still-life" ? 3 : 1;
}

async function take(app, blob) {
  try {
    const bitmap = await createImageBitmap(blob);
    const scale = Math.min(1, MOST / Math.max(bitmap.width, bitmap.height));
    const [columns, rows] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
    const context = new OffscreenCanvas(columns, rows).getContext("2d");
    context.imageSmoothingQuality = "high";
    context.fillStyle = "#fff"; // under what is transparent
    context.fillRect(0, 0, columns, rows);
    context.drawImage(bitmap, 0, 0, columns, rows);
    app.shared.upload = planes(context.getImageData(0, 0, columns, rows));
    app.set({ image: null });
    app.set({ image: "upload" });
  } catch {
    app.fail(app.t("image.unreadable", { name: blob.name }));
  }
}

// Red, green, blue from 0 to 1; one plane if the picture is grey.
function planes({ data, width, height }) {
  const plane = width * height, pixels = new Float32Array(3 * plane);
  let grey = true;
  for (let i = 0; i < plane; i++) {
    for (let c = 0; c < 3; c++) pixels[c * plane + i] = data[4 * i + c] / 255;
    grey &&= data[4 * i] === data[4 * i + 1] && data[4 * i] === data[4 * i + 2];
  }
  return grey ? { data: pixels.slice(0, plane), shape: [1, height, width] }
    : { data: pixels, shape: [3, height, width] };
}
