// A QR code (ISO/IEC 18004) of a text in bytes, with the lowest error correction, in
// versions 1 to 10: up to 271 bytes. Rows of true (dark) and false; null if it is too
// long.

// For each version: data bytes in all, error correction bytes of each block, blocks.
const VERSIONS = [
  [19, 7, 1], [34, 10, 1], [55, 15, 1], [80, 20, 1], [108, 26, 1],
  [136, 18, 2], [156, 20, 2], [194, 24, 2], [232, 30, 2], [274, 18, 4],
];
// For each version: centres of the alignment patterns.
const ALIGNED = [
  [], [6, 18], [6, 22], [6, 26], [6, 30], [6, 34], [6, 22, 38], [6, 24, 42], [6, 26, 46], [6, 28, 50],
];
const MASKS = [
  (x, y) => (x + y) % 2, (x, y) => y % 2, (x) => x % 3, (x, y) => (x + y) % 3,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2,
  (x, y) => ((x * y) % 2) + ((x * y) % 3),
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2,
  (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2,
];

// The field of 256 elements in which the error correction is calculated.
const POWER = new Uint8Array(512);
const LOG = new Uint8Array(256);
for (let i = 0, x = 1; i < 255; i += 1) {
  POWER[i] = POWER[i + 255] = x;
  LOG[x] = i;
  x = (x << 1) ^ (x & 128 ? 0x11d : 0);
}
const times = (a, b) => (a && b ? POWER[LOG[a] + LOG[b]] : 0);

function correction(data, count) {
  let generator = [1];
  for (let i = 0; i < count; i += 1) {
    const next = [...generator, 0];
    generator.forEach((g, at) => { next[at + 1] ^= times(g, POWER[i]); });
    generator = next;
  }
  const rest = [...data, ...new Array(count).fill(0)];
  for (let i = 0; i < data.length; i += 1) {
    const factor = rest[i];
    generator.forEach((g, at) => { rest[i + at] ^= times(g, factor); });
  }
  return rest.slice(data.length);
}

function encode(bytes, version) {
  const [capacity, count, blocks] = VERSIONS[version - 1];
  const bits = [];
  const put = (value, length) => {
    for (let i = length - 1; i >= 0; i -= 1) bits.push((value >> i) & 1);
  };
  put(4, 4);
  put(bytes.length, version < 10 ? 8 : 16);
  bytes.forEach((byte) => put(byte, 8));
  put(0, Math.min(4, capacity * 8 - bits.length));
  while (bits.length % 8) bits.push(0);
  const data = [];
  for (let i = 0; i < bits.length; i += 8) data.push(parseInt(bits.slice(i, i + 8).join(""), 2));
  for (let pad = 0xec; data.length < capacity; pad ^= 0xec ^ 0x11) data.push(pad);
  const short = Math.floor(capacity / blocks);
  const longer = capacity % blocks;
  const parts = [];
  for (let i = 0, at = 0; i < blocks; i += 1) {
    const length = short + (i >= blocks - longer ? 1 : 0);
    parts.push(data.slice(at, at + length));
    at += length;
  }
  const checks = parts.map((part) => correction(part, count));
  const out = [];
  for (let i = 0; i <= short; i += 1) parts.forEach((part) => { if (i < part.length) out.push(part[i]); });
  for (let i = 0; i < count; i += 1) checks.forEach((check) => out.push(check[i]));
  return out;
}

// A number with its check bits.
function checked(value, polynomial, length) {
  let rest = value << length;
  const degree = 31 - Math.clz32(polynomial);
  for (let bit = 31 - Math.clz32(rest); rest && bit >= degree; bit = 31 - Math.clz32(rest)) {
    rest ^= polynomial << (bit - degree);
  }
  return (value << length) | rest;
}

function frame(version) {
  const size = version * 4 + 17;
  const dark = Array.from({ length: size }, () => new Array(size).fill(false));
  const fixed = Array.from({ length: size }, () => new Array(size).fill(false));
  const set = (x, y, value) => {
    if (x < 0 || y < 0 || x >= size || y >= size) return;
    dark[y][x] = value;
    fixed[y][x] = true;
  };
  for (let i = 0; i < size; i += 1) {
    set(i, 6, i % 2 === 0);
    set(6, i, i % 2 === 0);
  }
  const square = (cx, cy, radius, rings) => {
    for (let y = -radius; y <= radius; y += 1) {
      for (let x = -radius; x <= radius; x += 1) set(cx + x, cy + y, rings(Math.max(Math.abs(x), Math.abs(y))));
    }
  };
  for (const [x, y] of [[3, 3], [size - 4, 3], [3, size - 4]]) square(x, y, 4, (r) => r !== 2 && r !== 4);
  const centres = ALIGNED[version - 1];
  const last = centres.length - 1;
  centres.forEach((x, i) => centres.forEach((y, j) => {
    const isCorner = (i === 0 && j === 0) || (i === 0 && j === last) || (i === last && j === 0);
    if (!isCorner) square(x, y, 2, (r) => r !== 1);
  }));
  if (version >= 7) {
    const bits = checked(version, 0x1f25, 12);
    for (let i = 0; i < 18; i += 1) {
      const value = ((bits >> i) & 1) === 1;
      const [a, b] = [size - 11 + (i % 3), Math.floor(i / 3)];
      set(a, b, value);
      set(b, a, value);
    }
  }
  return { size, dark, fixed, set };
}

function format({ size, set }, mask) {
  const bits = checked((1 << 3) | mask, 0x537, 10) ^ 0x5412;
  const bit = (i) => ((bits >> i) & 1) === 1;
  for (let i = 0; i <= 5; i += 1) set(8, i, bit(i));
  set(8, 7, bit(6));
  set(8, 8, bit(7));
  set(7, 8, bit(8));
  for (let i = 9; i < 15; i += 1) set(14 - i, 8, bit(i));
  for (let i = 0; i < 8; i += 1) set(size - 1 - i, 8, bit(i));
  for (let i = 8; i < 15; i += 1) set(8, size - 15 + i, bit(i));
  set(8, size - 8, true);
}

function fill({ size, dark, fixed }, bytes, mask) {
  let at = 0;
  for (let right = size - 1; right >= 1; right -= 2) {
    if (right === 6) right = 5;
    for (let step = 0; step < size; step += 1) {
      const upward = ((right + 1) & 2) === 0;
      const y = upward ? size - 1 - step : step;
      for (const x of [right, right - 1]) {
        if (fixed[y][x]) continue;
        const bit = at < bytes.length * 8 && ((bytes[at >> 3] >> (7 - (at & 7))) & 1) === 1;
        dark[y][x] = bit !== (MASKS[mask](x, y) === 0);
        at += 1;
      }
    }
  }
}

// How hard it would be to read: long runs, squares of one kind, and too much of one.
function penalty(dark) {
  const size = dark.length;
  let sum = 0;
  let count = 0;
  for (let i = 0; i < size; i += 1) {
    for (const line of [dark[i], dark.map((row) => row[i])]) {
      let run = 1;
      for (let j = 1; j <= size; j += 1) {
        if (j < size && line[j] === line[j - 1]) run += 1;
        else {
          if (run >= 5) sum += run - 2;
          run = 1;
        }
      }
      const text = line.map(Number).join("");
      sum += 40 * (text.split("10111010000").length + text.split("00001011101").length - 2);
    }
    for (let j = 0; j < size; j += 1) {
      count += dark[i][j];
      if (i && j && dark[i][j] === dark[i - 1][j] && dark[i][j] === dark[i][j - 1]
        && dark[i][j] === dark[i - 1][j - 1]) sum += 3;
    }
  }
  return sum + Math.floor(Math.abs((count * 20) / (size * size) - 10)) * 10;
}

export function qr(text) {
  const bytes = new TextEncoder().encode(text);
  const version = VERSIONS.findIndex(([capacity], at) => bytes.length + (at < 9 ? 2 : 3) <= capacity) + 1;
  if (version === 0) return null;
  const encoded = encode(bytes, version);
  let best = null;
  for (let mask = 0; mask < MASKS.length; mask += 1) {
    const code = frame(version);
    // The places of the format are taken before the data is put around them.
    format(code, mask);
    fill(code, encoded, mask);
    const cost = penalty(code.dark);
    if (!best || cost < best.cost) best = { cost, dark: code.dark };
  }
  return best.dark;
}
