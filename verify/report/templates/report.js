"use strict";
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};

// ---- tables that sort by a click on a heading

const comes = (a, b) => {
  const [x, y] = [parseFloat(a), parseFloat(b)];
  if (a === "" || b === "") return (a === "") - (b === "");
  return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b) : x - y;
};

function sortable(table) {
  const body = table.tBodies[0];
  all("thead th", table).forEach((heading, column) => {
    const button = make("button", { type: "button" }, heading.textContent);
    heading.replaceChildren(button);
    button.addEventListener("click", () => {
      const descending = heading.getAttribute("aria-sort") === "ascending";
      all("thead th", table).forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
      const text = new Map([...body.rows].map((row) => [row, row.cells[column].textContent.trim()]));
      // what has no value stays at the end
      body.append(...[...body.rows].sort((a, b) => {
        const [x, y] = [text.get(a), text.get(b)];
        return comes(x, y) * (descending && x && y ? -1 : 1);
      }));
    });
  });
}
all("table.sortable").forEach(sortable);

// ---- copying

async function copy(text, source) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    getSelection().selectAllChildren(source);
    document.execCommand("copy");
  }
}

all(".copy").forEach((button) => {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const source = button.parentElement.querySelector("code");
    await copy(source.textContent, source);
    button.textContent = "copied";
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  });
});

// ---- everything is open on paper

const opened = [];
addEventListener("beforeprint", () => {
  all("details:not([open])").forEach((details) => { details.open = true; opened.push(details); });
});
addEventListener("afterprint", () => { opened.splice(0).forEach((details) => { details.open = false; }); });

// ---- the plot of a cell: error and allowance over magnitude, both in powers of ten

const HEIGHT = 270, LEFT = 58, RIGHT = 12, TOP = 12, BOTTOM = 58;
const power = (n) => "10" + [...String(n)].map((c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c])).join("");

function draw(tag, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

function ticks(low, high) {
  const step = [1, 2, 5, 10, 20, 50].find((size) => (high - low) / size <= 6) ?? 100;
  const found = [];
  for (let n = Math.ceil(low / step) * step; n <= high; n += step) found.push(n);
  return found;
}

function plot(cell) {
  const WIDTH = Math.min(560, innerWidth - 40);
  const points = cell.curve.filter(([, , allowance]) => allowance > 0);
  if (!points.length) return null;
  const magnitude = ([binade]) => (binade - 0.5) * Math.log10(2);
  const heights = points.flatMap(([, error, allowance]) => (error > 0 ? [error, allowance] : [allowance])).map(Math.log10);
  const [x0, x1] = [Math.min(...points.map(magnitude)) - 0.3, Math.max(...points.map(magnitude)) + 0.3];
  const [y0, y1] = [Math.floor(Math.min(...heights)) - 0.5, Math.ceil(Math.max(...heights)) + 0.2];
  const x = (value) => LEFT + ((value - x0) / (x1 - x0)) * (WIDTH - LEFT - RIGHT);
  const y = (value) => HEIGHT - BOTTOM - ((value - y0) / (y1 - y0)) * (HEIGHT - TOP - BOTTOM);
  const floor = HEIGHT - BOTTOM;
  const outside = points.filter(([, error, allowance]) => error > allowance).length;
  const svg = draw("svg", { class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
  svg.setAttribute("aria-label", `error against allowance for ${points.length} magnitudes of the parameter, `
    + (outside ? `${outside} outside the allowance` : "all inside the allowance"));
  for (const n of ticks(y0, y1)) {
    svg.append(draw("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(n), y2: y(n) }));
    svg.append(draw("text", { x: LEFT - 6, y: y(n) + 4, "text-anchor": "end" }, power(n)));
  }
  for (const n of ticks(x0, x1)) {
    svg.append(draw("line", { class: "grid", x1: x(n), x2: x(n), y1: TOP, y2: floor }));
    svg.append(draw("text", { x: x(n), y: floor + 15, "text-anchor": "middle" }, power(n)));
  }
  const line = points.map((point) => `${x(magnitude(point)).toFixed(1)},${y(Math.log10(point[2])).toFixed(1)}`);
  const [first, last] = [x(magnitude(points[0])), x(magnitude(points.at(-1)))];
  svg.append(draw("polygon", { class: "area", points: `${first},${floor} ${line.join(" ")} ${last},${floor}` }));
  svg.append(draw("polyline", { class: "allowance", points: line.join(" ") }));
  for (const point of points) {
    const [binade, error, allowance] = point;
    const [cx, cy] = [x(magnitude(point)), error > 0 ? y(Math.log10(error)) : floor];
    const mark = error > allowance
      ? draw("path", { class: "outside", d: `M${cx - 4},${cy - 4}l8,8m0,-8l-8,8` })
      : draw("circle", { class: error > 0 ? "error" : "zero", cx, cy, r: 3.2 });
    mark.append(draw("title", {}, `|p| below 2^${binade}: error ${error}, allowance ${allowance}`));
    svg.append(mark);
  }
  const middle = (LEFT + WIDTH - RIGHT) / 2;
  svg.append(draw("text", { x: middle, y: floor + 33, "text-anchor": "middle" }, "magnitude of the parameter"));
  svg.append(draw("text", { x: 12, y: (TOP + floor) / 2, "text-anchor": "middle", transform: `rotate(-90 12 ${(TOP + floor) / 2})` }, "absolute error"));
  let at = LEFT;
  for (const [shape, attributes, name] of [
    ["line", { class: "allowance", x1: 0, x2: 14, y1: 0, y2: 0 }, "allowance"],
    ["circle", { class: "error", cx: 7, cy: 0, r: 3.2 }, "largest error"],
    ["circle", { class: "zero", cx: 7, cy: 0, r: 3.2 }, "no error"],
    ...(outside ? [["path", { class: "outside", d: "M3,-4l8,8m0,-8l-8,8" }, "outside"]] : []),
  ]) {
    const key = draw("g", { transform: `translate(${at} ${floor + 50})` });
    key.append(draw(shape, attributes), draw("text", { x: 20, y: 4 }, name));
    svg.append(key);
    at += 40 + 6.2 * name.length;
  }
  return svg;
}

// ---- the report: cells in the matrix and in the table, the chosen one, and the filter

function report(cells) {
  const panel = document.getElementById("cell");
  const matrix = document.querySelector(".matrix");
  const buttons = all("button[data-cell]", matrix);
  const rows = all("tr[data-cell]");
  let chosen = null;

  function numbers(cell) {
    const pairs = [["ratio", cell.worst_ratio && (cell.worst_quantity ? `${cell.worst_ratio} (${cell.worst_quantity})` : cell.worst_ratio)],
      ["programs", cell.programs.toLocaleString("en")], ["element-steps", cell.element_steps.toLocaleString("en")],
      ["not verified", cell.not_verified && cell.not_verified.toLocaleString("en")],
      ["failed as expected", cell.as_expected + cell.unseparated],
      ["bit for bit equal", cell.bitwise[1] && `${cell.bitwise[0]} of ${cell.bitwise[1]}`], ["time", `${cell.seconds.toFixed(2)} s`]];
    return make("dl", { class: "numbers" }, ...pairs.filter(([, value]) => value)
      .map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, String(value)))));
  }

  function links(number) {
    return all("[data-cells]").filter((e) => e.dataset.cells.split(" ").includes(String(number))).map((e) => {
      const button = make("button", { type: "button", class: "copy" }, "show what was found");
      button.addEventListener("click", () => { choose(null); e.open = true; e.scrollIntoView(); });
      return button;
    });
  }

  const fragment = (cell) => `#${encodeURIComponent(cell.name)}`;

  function address(end) {
    try {
      history.replaceState(null, "", end);
    } catch {
      // a page that is shown inside another may have no address of its own
    }
  }

  function choose(number) {
    const before = chosen;
    chosen = number;
    buttons.forEach((b) => b.setAttribute("aria-pressed", String(Number(b.dataset.cell) === number)));
    panel.hidden = number === null;
    if (number === null) {
      if (panel.contains(document.activeElement)) buttons.find((b) => Number(b.dataset.cell) === before)?.focus();
      address("#");
      return panel.replaceChildren();
    }
    const cell = cells[number];
    const close = make("button", { type: "button", class: "close", "aria-label": "close" }, "×");
    close.addEventListener("click", () => choose(null));
    const about = make("div", {}, numbers(cell));
    if (cell.notes.length) about.append(make("ul", {}, ...cell.notes.map((note) => make("li", {}, note))));
    about.append(...links(number));
    const columns = make("div", { class: "columns" }, about);
    const drawn = plot(cell);
    if (drawn) columns.append(drawn);
    panel.replaceChildren(close,
      make("h3", {}, cell.check, make("small", {}, `${cell.dtype} · ${cell.device} · ${cell.implementation}`)),
      make("p", { class: "state" }, make("b", {}, cell.status), cell.reason && `: ${cell.reason}`), columns);
    address(fragment(cell));
  }

  // one stop for the Tab key; arrows go on from there
  buttons.forEach((button, k) => { button.tabIndex = k ? -1 : 0; });
  const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  matrix.addEventListener("keydown", (event) => {
    const [down, right] = moves[event.key] ?? [0, 0];
    const from = event.target.closest("td");
    if (!from || !(down || right)) return;
    event.preventDefault();
    let [row, column] = [from.parentElement.rowIndex + down, from.cellIndex + right];
    for (; matrix.rows[row] && row > 1 && column >= 1 && column <= matrix.rows[from.parentElement.rowIndex].cells.length; row += down, column += right) {
      const next = matrix.rows[row].cells[column]?.querySelector("button");
      if (next && next.offsetParent) {
        buttons.forEach((b) => { b.tabIndex = -1; });
        next.tabIndex = 0;
        next.focus();
        return;
      }
    }
  });
  matrix.addEventListener("focusin", (event) => {
    if (event.target.dataset.cell && event.target.matches(":focus-visible")) choose(Number(event.target.dataset.cell));
  });
  matrix.addEventListener("click", (event) => {
    const number = event.target.closest("[data-cell]")?.dataset.cell;
    if (number !== undefined) choose(Number(number));
  });
  rows.forEach((row) => row.addEventListener("click", () => choose(Number(row.dataset.cell))));
  addEventListener("keydown", (event) => { if (event.key === "Escape" && chosen !== null) choose(null); });

  const form = document.querySelector(".filter");
  const family = (cell) => cell.check.split(".")[0];
  const fields = { family, status: (c) => c.status, dtype: (c) => c.dtype, device: (c) => c.device, implementation: (c) => c.implementation };
  for (const [name, of] of Object.entries(fields)) {
    const values = [...new Set(cells.map(of))];
    form.elements[name].append(...values.map((value) => make("option", {}, value)));
    form.elements[name].parentElement.hidden = values.length < 2;
  }
  const texts = cells.map((c) => [c.name, c.status, c.reason, c.worst_quantity, ...c.notes].join("\n").toLowerCase());
  const found = all("[data-cells]").map((element) => [element, element.dataset.cells.split(" ").filter(Boolean).map(Number), element.textContent.toLowerCase()]);
  const groups = all("thead tr:first-child th[data-group]", matrix);
  const columns = all("thead tr + tr th", matrix);
  const lines = all("tbody tr:not(.family)", matrix).map((row) => [row, all("td", row)]);
  columns.forEach((heading, k) => {
    if (heading.dataset.group !== columns[k - 1]?.dataset.group) [heading, ...lines.map(([, tds]) => tds[k])].forEach((e) => e.classList.add("first"));
  });

  function filter() {
    const text = form.elements.text.value.trim().toLowerCase();
    const wanted = Object.entries(fields).filter(([name]) => form.elements[name].value);
    const chosenBy = cells.map((cell) => wanted.every(([name, of]) => of(cell) === form.elements[name].value));
    const inside = chosenBy.map((ok, k) => ok && texts[k].includes(text));
    buttons.forEach((button) => button.classList.toggle("out", !inside[button.dataset.cell]));
    rows.forEach((row) => { row.hidden = !inside[row.dataset.cell]; });
    const used = columns.map((_, k) => lines.some(([, tds]) => inside[tds[k].firstChild?.dataset.cell]));
    lines.forEach(([row, tds]) => {
      row.hidden = !tds.some((td) => inside[td.firstChild?.dataset.cell]);
      tds.forEach((td, k) => { td.hidden = !used[k]; });
    });
    columns.forEach((heading, k) => { heading.hidden = !used[k]; });
    groups.forEach((heading) => {
      heading.colSpan = columns.filter((c, k) => used[k] && c.dataset.group === heading.dataset.group).length || 1;
      heading.hidden = !columns.some((c, k) => used[k] && c.dataset.group === heading.dataset.group);
    });
    all("tbody", matrix).forEach((body) => { body.hidden = !all("tr:not(.family)", body).some((row) => !row.hidden); });
    found.forEach(([element, numbers, words]) => {
      element.hidden = numbers.length > 0 && !numbers.some((n) => chosenBy[n] && (inside[n] || words.includes(text)));
    });
    form.querySelector("output").textContent = `${inside.filter(Boolean).length} of ${cells.length} cells`;
  }
  form.addEventListener("input", filter);
  form.addEventListener("reset", () => setTimeout(filter));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = document.querySelector(".hint").hidden = false;
  filter();
  const number = cells.findIndex((cell) => fragment(cell) === location.hash);
  if (number >= 0) choose(number);
}

const data = document.getElementById("data");
if (data) report(JSON.parse(data.textContent));
performance.mark("interactive");
