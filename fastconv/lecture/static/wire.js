// What travels between page and server: see wire.py, which has the same two functions. What the page sends in bytes are
// pixels of a picture, from 0 to 255.

export function pack(head, sections = {}) {
  const entries = Object.entries(sections);
  const shapes = entries.map(([name, { data, shape }]) => [name, shape, ...data instanceof Uint8Array ? [1] : []]);
  let text = new TextEncoder().encode(JSON.stringify({ ...head, sections: shapes }));
  const length = text.length + (-text.length & 3);
  const room = (data) => (data instanceof Uint8Array ? data.length + (-data.length & 3) : 4 * data.length);
  const bytes = entries.reduce((sum, [, { data }]) => sum + room(data), 4 + length);
  const body = new Uint8Array(bytes).fill(32, 4, 4 + length);
  new DataView(body.buffer).setUint32(0, length, true);
  body.set(text, 4);
  let place = 4 + length;
  for (const [, { data }] of entries) {
    new (data instanceof Uint8Array ? Uint8Array : Float32Array)(body.buffer, place, data.length).set(data);
    place += room(data);
  }
  return body;
}

export function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const { sections: shapes, ...head } = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const sections = {};
  let place = 4 + length;
  for (const [name, shape, white] of shapes) {
    const count = shape.reduce((product, size) => product * size, 1);
    sections[name] = { shape, data: white ? values(new Uint8Array(buffer, place, count), white)
      : new Float32Array(buffer, place, count) };
    place += white ? count + (-count & 3) : 4 * count;
  }
  return { head, sections };
}

// What bytes stand for, each the float32 that is nearest.
function values(levels, white) {
  const found = new Float32Array(levels.length);
  for (let i = 0; i < found.length; i++) found[i] = levels[i] * white / 255;
  return found;
}

// POST api/NAME. What the server refuses is an Error with its message.
export async function ask(name, head, sections) {
  const answer = await fetch(`api/${name}`, { method: "POST", body: pack(head, sections) });
  if (!answer.ok) throw new Error((await answer.json()).error);
  return answer;
}

export async function call(name, head, sections) {
  return unpack(await (await ask(name, head, sections)).arrayBuffer());
}

// Calls `ask` again and again, never twice at a time, and only for the newest of what is wanted meanwhile.
export function latest(ask) {
  let running = false, wanted = false;
  return async function again() {
    if (running) return void (wanted = true);
    running = true;
    do {
      wanted = false;
      await ask();
    } while (wanted);
    running = false;
  };
}
