"use strict";
// The page of levels: regions of a photo, from coarse to fine, merged and split by hand. Nothing is read back
// from a canvas: some browsers change what is read.

const NONE = 255;
const get = id => document.getElementById(id);
const facts = JSON.parse(get("data").textContent);
const { width, height, step, merges, areas, sums, tree } = facts;
const most = merges.length + 1;

const unpack = async text => {
  const packed = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
};

// Nodes of the hierarchy: leaves first, then the merges in their order.
const children = [];
const startRegions = wanted => {
  const node = Array.from({ length: most }, (_, leaf) => leaf);
  const alive = new Set(node);
  for (let i = 0; i < most - wanted; i++) {
    const [kept, joined] = merges[i];
    node[kept] = most + i;
    alive.delete(joined);
  }
  return [...alive].sort((a, b) => a - b).map(leaf => [node[leaf]]);
};
const buildTree = () => {
  const node = Array.from({ length: most }, (_, leaf) => leaf);
  merges.forEach(([kept, joined], i) => {
    children.push([node[kept], node[joined]]);
    node[kept] = most + i;
  });
};
const leavesOf = node => node < most ? [node] : children[node - most].flatMap(leavesOf);
const placeOf = (regions, leaf) => {
  for (let r = 0; r < regions.length; r++) {
    const i = regions[r].findIndex(node => leavesOf(node).includes(leaf));
    if (i >= 0) return [r, i];
  }
  return [-1, -1];
};

// One edit on a list of regions, each a list of nodes; returns why it cannot be done, or null.
const edit = (regions, leaves) => {
  const places = leaves.map(leaf => placeOf(regions, leaf)), [r, i] = places[0], nodes = regions[r];
  if (places.length === 2) {
    const other = places[1][0];
    if (other === r) return "Both clicks are in one region: there is nothing to merge.";
    nodes.push(...regions[other]);
    regions.splice(other, 1);
  } else if (nodes.length > 1) {
    regions.push(nodes.splice(i, 1));
  } else if (nodes[0] < most) {
    return "This region is one of the smallest: it cannot be split.";
  } else {
    const [first, second] = children[nodes[0] - most];
    regions[r] = [first];
    regions.push([second]);
  }
  return null;
};

// For each leaf the smallest leaf of its region.
const targetOf = regions => {
  const target = new Array(most);
  for (const nodes of regions) {
    const leaves = nodes.flatMap(leavesOf), name = Math.min(...leaves);
    for (const leaf of leaves) target[leaf] = name;
  }
  return target;
};

// Labels 0, 1, 2, ... from the largest region, without those that no pixel shows, as the command numbers them.
const namesOf = (target, labels) => {
  const inside = new Array(most).fill(0), all = new Array(most).fill(0), seen = new Set();
  target.forEach((name, leaf) => {
    inside[name] += areas[leaf][0];
    all[name] += areas[leaf][1];
  });
  for (const leaf of labels) if (leaf !== NONE) seen.add(target[leaf]);
  const order = [...seen].sort((a, b) => inside[b] - inside[a] || all[b] - all[a] || a - b);
  return new Map(order.map((name, label) => [name, label]));
};

const crcOf = bytes => {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (0xedb88320 & -(crc & 1));
  }
  return ~crc >>> 0;
};
const pngOf = async rows => {
  const raw = new Uint8Array(height * (width + 1));
  for (let y = 0; y < height; y++) raw.set(rows.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  const stream = new Blob([raw]).stream().pipeThrough(new CompressionStream("deflate"));
  const packed = new Uint8Array(await new Response(stream).arrayBuffer());
  const chunk = (kind, body) => {
    const bytes = new Uint8Array(body.length + 12), view = new DataView(bytes.buffer);
    view.setUint32(0, body.length);
    for (let i = 0; i < 4; i++) bytes[4 + i] = kind.charCodeAt(i);
    bytes.set(body, 8);
    view.setUint32(body.length + 8, crcOf(bytes.subarray(4, body.length + 8)));
    return bytes;
  };
  const head = new Uint8Array(13), view = new DataView(head.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  head.set([8, 0, 0, 0, 0], 8);
  const magic = new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10]);
  return new Blob([magic, chunk("IHDR", head), chunk("IDAT", packed), chunk("IEND", new Uint8Array(0))],
    { type: "image/png" });
};

// The outline of each label as closed paths along the pixels' sides, the label on the right of its outline.
const outlinesOf = (names, n) => {
  const at = (x, y) => x < 0 || y < 0 || x >= width || y >= height ? NONE : names[y * width + x];
  const sides = Array.from({ length: n }, () => new Map());
  const add = (name, x, y, dx, dy) => {
    if (name === NONE) return;
    const key = y * (width + 1) + x, starts = sides[name];
    if (!starts.has(key)) starts.set(key, []);
    starts.get(key).push([dx, dy]);
  };
  for (let y = 0; y <= height; y++) for (let x = 0; x <= width; x++) {
    const here = at(x, y), above = at(x, y - 1), before = at(x - 1, y);
    if (here !== above) { add(here, x, y, 1, 0); add(above, x + 1, y, -1, 0); }
    if (here !== before) { add(here, x, y + 1, 0, -1); add(before, x, y, 0, 1); }
  }
  return sides.map(starts => {
    let path = "";
    for (const [first] of starts) {
      while (starts.get(first)?.length) {
        let x = first % (width + 1), y = (first - x) / (width + 1), [dx, dy] = starts.get(first).pop(), run = 1;
        path += `M${x} ${y}`;
        for (;;) {
          x += dx;
          y += dy;
          const key = y * (width + 1) + x, open = starts.get(key) ?? [];
          if (key === first || !open.length) break;
          // Where two corners touch, turn right: the outline stays with the pixel that it is at.
          const right = open.findIndex(([ax, ay]) => ax === -dy && ay === dx);
          const [ax, ay] = open.splice(right < 0 ? 0 : right, 1)[0];
          if (ax === dx && ay === dy) { run++; continue; }
          path += dx ? `h${dx * run}` : `v${dy * run}`;
          [dx, dy, run] = [ax, ay, 1];
        }
        path += "z";
      }
    }
    return path;
  });
};

const save = (blob, ending) => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = facts.name + ending;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
};

const begin = async () => {
  buildTree();
  const labels = await unpack(get("labels").textContent.trim());
  const photo = new Image();
  photo.src = get("photo").textContent.trim();
  await photo.decode();
  const view = get("view"), context = view.getContext("2d"), slider = get("regions"), status = get("status");
  const layer = document.createElement("canvas"), overlay = layer.getContext("2d");
  view.width = layer.width = width;
  view.height = layer.height = height;
  slider.min = Math.min(2, most);
  slider.max = most;

  // A state is a cut and the edits after it; undo returns to the one before.
  const history = [{ wanted: facts.shown, edits: [], by: "start" }];
  let held = null, cross = null, names = null, colors = null;
  const state = () => history[history.length - 1];
  const regionsOf = ({ wanted, edits }) => {
    const regions = startRegions(wanted);
    for (const points of edits) edit(regions, points.map(([x, y]) => labels[y * width + x]));
    return regions;
  };

  const label = () => {
    const target = targetOf(regionsOf(state())), numbers = namesOf(target, labels), n = numbers.size;
    const totals = Array.from({ length: n }, () => [0, 0, 0, 0]);
    sums.forEach((row, leaf) => {
      const total = totals[numbers.get(target[leaf])];
      if (total) row.forEach((value, i) => { total[i] += value; });
    });
    colors = totals.map(([r, g, b, count]) => [r, g, b].map(sum => Math.round(sum / count)));
    names = labels.map(leaf => leaf === NONE ? NONE : numbers.get(target[leaf]));
  };

  const draw = () => {
    const out = new ImageData(width, height), data = out.data;
    const averaged = get("averaged").checked, outlined = get("outlined").checked;
    const chosen = held ? names[held[1] * width + held[0]] : -1;
    for (let p = 0; p < names.length; p++) {
      const name = names[p], x = p % width;
      if (name !== NONE && (averaged || name === chosen)) {
        data.set(name === chosen ? [255, 221, 0, averaged ? 255 : 150] : [...colors[name], 255], 4 * p);
      }
      const edge = (x + 1 < width && names[p + 1] !== name) || (p + width < names.length && names[p + width] !== name);
      if (outlined && edge) data.set([255, 221, 0, 255], 4 * p);
    }
    overlay.putImageData(out, 0, 0);
    context.clearRect(0, 0, width, height);
    context.drawImage(photo, 0, 0);
    context.drawImage(layer, 0, 0);
    if (cross) {
      for (const [style, thick] of [["#000", 5], ["#fff", 2]]) {
        context.strokeStyle = style;
        context.lineWidth = thick;
        context.beginPath();
        context.moveTo(cross[0] - 12, cross[1] + .5);
        context.lineTo(cross[0] + 13, cross[1] + .5);
        context.moveTo(cross[0] + .5, cross[1] - 12);
        context.lineTo(cross[0] + .5, cross[1] + 13);
        context.stroke();
      }
    }
    const n = colors.length;
    slider.value = state().wanted;
    get("count").textContent = n + (n === 1 ? " region" : " regions");
    get("undo").disabled = history.length < 2;
  };
  const change = next => {
    history.push(next);
    held = null;
    label();
    draw();
  };
  const mode = () => document.querySelector("input[name=mode]:checked").value;

  const act = (x, y) => {
    const leaf = labels[y * width + x];
    if (leaf === NONE) {
      status.textContent = "There is no region: the photo is transparent here.";
      return;
    }
    const { wanted, edits } = state();
    if (mode() === "merge" && !held) {
      held = [x, y];
      status.textContent = `Region ${names[y * width + x]} is held: click the region to merge it with.`;
      draw();
      return;
    }
    const points = mode() === "merge" ? [held, [x, y]] : [[x, y]];
    const regions = regionsOf(state());
    const reason = edit(regions, points.map(([px, py]) => labels[py * width + px]));
    held = null;
    status.textContent = reason ?? (points.length === 2 ? "Merged." : "Split.");
    if (reason) draw();
    else change({ wanted, edits: [...edits, points], by: "edit" });
  };

  slider.addEventListener("input", () => {
    // One step back for a whole drag.
    if (state().by === "slider") history.pop();
    const had = state().edits.length;
    change({ wanted: Number(slider.value), edits: [], by: "slider" });
    status.textContent = had ? "Edits are gone with the new level; undo brings them back." : "";
  });
  for (const id of ["averaged", "outlined"]) get(id).addEventListener("input", draw);
  const undo = () => {
    if (history.length < 2) return;
    history.pop();
    held = null;
    label();
    draw();
    status.textContent = "Undone.";
  };
  get("undo").addEventListener("click", undo);
  view.addEventListener("click", event => {
    const box = view.getBoundingClientRect();
    const x = Math.floor((event.clientX - box.left) * width / box.width);
    const y = Math.floor((event.clientY - box.top) * height / box.height);
    cross = null;
    act(Math.max(0, Math.min(width - 1, x)), Math.max(0, Math.min(height - 1, y)));
  });
  view.addEventListener("keydown", event => {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key in moves) {
      const by = event.shiftKey ? 50 : 10, [dx, dy] = moves[event.key];
      const [x, y] = cross ?? [width >> 1, height >> 1];
      cross = [Math.max(0, Math.min(width - 1, x + dx * by)), Math.max(0, Math.min(height - 1, y + dy * by))];
      status.textContent = `Over region ${names[cross[1] * width + cross[0]]}.`;
      draw();
    } else if (event.key === "Enter" || event.key === " ") {
      cross ??= [width >> 1, height >> 1];
      act(...cross);
    } else return;
    event.preventDefault();
  });
  document.addEventListener("keydown", event => {
    const key = event.key.toLowerCase();
    if ((event.ctrlKey || event.metaKey) && key === "z") {
      undo();
      event.preventDefault();
    } else if (event.ctrlKey || event.metaKey || event.altKey) {
      return;
    } else if (key === "m" || key === "s") {
      document.querySelector(`input[value=${key === "m" ? "merge" : "split"}]`).checked = true;
      held = null;
      draw();
    } else if (key === "escape") {
      held = null;
      status.textContent = "";
      draw();
    }
  });
  document.querySelectorAll("input[name=mode]").forEach(input => input.addEventListener("input", () => {
    held = null;
    draw();
  }));

  get("save-edits").addEventListener("click", () => {
    const { wanted, edits } = state();
    const full = ([x, y]) => [x * step, y * step];
    const steps = edits.map(points => ({ [points.length === 2 ? "merge" : "split"]: points.map(full) }));
    const text = JSON.stringify({ format: facts.format, tree, n_regions: wanted, edits: steps }, null, 2);
    save(new Blob([text + "\n"], { type: "application/json" }), "_edits.json");
  });
  get("save-labels").addEventListener("click", async () => save(await pngOf(names), "_labels.png"));
  get("save-svg").addEventListener("click", () => {
    const outlines = outlinesOf(names, colors.length);
    const groups = outlines.map((path, name) => {
      const hex = "#" + colors[name].map(value => value.toString(16).padStart(2, "0")).join("");
      return `<g id="region-${name}" fill="${hex}" stroke="${hex}" stroke-width=".3"><path d="${path}"/></g>`;
    });
    const title = facts.name.replace(/[&<>]/g, letter => `&#${letter.charCodeAt(0)};`);
    const head = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" fill-rule="evenodd">`;
    save(new Blob([`${head}\n<title>${title}</title>\n${groups.join("\n")}\n</svg>\n`], { type: "image/svg+xml" }),
      "_regions.svg");
  });

  label();
  draw();
};
begin().catch(error => { get("status").textContent = `The page could not be shown: ${error.message}`; });
