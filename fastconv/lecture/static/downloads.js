// What is on the page as files: PNG of its canvases, CSV and NPZ of its arrays.

export function save(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// All canvases that are shown, side by side in rows.
export async function png(canvases) {
  const shown = canvases.filter((canvas) => canvas.width && canvas.offsetParent);
  const gap = 16, most = 2400;
  let x = gap, y = gap, row = 0, width = 0;
  const places = shown.map((canvas) => {
    if (x > gap && x + canvas.width + gap > most) [x, y, row] = [gap, y + row + gap, 0];
    const place = [canvas, x, y];
    x += canvas.width + gap;
    row = Math.max(row, canvas.height);
    width = Math.max(width, x);
    return place;
  });
  const sheet = new OffscreenCanvas(Math.max(1, width), y + row + gap), context = sheet.getContext("2d");
  context.fillStyle = getComputedStyle(document.body).backgroundColor;
  context.fillRect(0, 0, sheet.width, sheet.height);
  for (const [canvas, left, top] of places) context.drawImage(canvas, left, top);
  return sheet.convertToBlob({ type: "image/png" });
}

// A line a number: array, index, value.
export function csv(arrays, exact) {
  const lines = ["array,index,value"];
  for (const [name, { data, shape }] of Object.entries(arrays)) {
    data.forEach((value, at) => {
      const index = shape.map((size, axis) => Math.floor(at / shape.slice(axis + 1).reduce((a, b) => a * b, 1)) % size);
      lines.push(`${name},${index.join(" ")},${exact(value)}`);
    });
  }
  return new Blob([lines.join("\n"), "\n"], { type: "text/csv" });
}

// A ZIP archive, not compressed, of .npy files: np.load reads it.
export function npz(arrays) {
  const parts = [], directory = [];
  let place = 0, listed = 0;
  for (const [name, { data, shape }] of Object.entries(arrays)) {
    const file = new TextEncoder().encode(`${name}.npy`), content = npy(data, shape);
    const crc = crc32(content);
    const common = [[2, 20], [2, 0], [2, 0], [2, 0], [2, 0x21], [4, crc], [4, content.length], [4, content.length],
      [2, file.length], [2, 0]];
    parts.push(numbers([[4, 0x04034b50], ...common]), file, content);
    directory.push(numbers([[4, 0x02014b50], [2, 20], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, place]]), file);
    place += 30 + file.length + content.length;
    listed += 46 + file.length;
  }
  const count = Object.keys(arrays).length;
  const end = numbers([[4, 0x06054b50], [2, 0], [2, 0], [2, count], [2, count], [4, listed], [4, place], [2, 0]]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}

function npy(data, shape) {
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape.map((size) => `${size},`).join(" ")}), }`;
  const header = new TextEncoder().encode(text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11) + "\n");
  const bytes = new Uint8Array(10 + header.length + 4 * data.length);
  bytes.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length & 255, header.length >> 8]);
  bytes.set(header, 10);
  bytes.set(new Uint8Array(Float32Array.from(data).buffer), 10 + header.length);
  return bytes;
}

function numbers(fields) {
  return Uint8Array.from(fields.flatMap(([size, value]) =>
    Array.from({ length: size }, (_, i) => Math.floor(value / 256 ** i) & 255)));
}

function crc32(bytes) {
  let sum = -1;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (0xedb88320 & -(sum & 1));
  }
  return (sum ^ -1) >>> 0;
}
