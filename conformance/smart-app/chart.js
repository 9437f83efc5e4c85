// A chart of one vital sign: an SVG for the eye, the same values as a table for everybody.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 360;
const HEIGHT = 150;
/** Room for the labels: top, right, bottom, left. */
const EDGE = { top: 12, right: 12, bottom: 24, left: 40 };
/** Points that are drawn small. */
const MANY = 150;
/** Rows of the table. */
const ROWS = 10;

const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const moment = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });

function svg(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

function html(name, properties, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

/** Two to five round values around these, at equal steps. */
function scale(values) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = (high - low || Math.abs(high) || 1) / 3;
  const power = 10 ** Math.floor(Math.log10(room));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= room);
  const [first, last] = [Math.floor(low / step), Math.max(Math.ceil(high / step), Math.floor(low / step) + 1)];
  return Array.from({ length: last - first + 1 }, (_, number) => Number(((first + number) * step).toPrecision(6)));
}

function picture(title, lines) {
  const all = lines.flatMap(({ points }) => points);
  const steps = scale(all.map(({ value }) => value));
  const [bottom, top] = [steps[0], steps[steps.length - 1]];
  const times = all.map(({ time }) => time);
  const [first, last] = [Math.min(...times), Math.max(...times)];
  const x = (time) => EDGE.left + ((time - first) / (last - first || 1)) * (WIDTH - EDGE.left - EDGE.right);
  const y = (value) => HEIGHT - EDGE.bottom - ((value - bottom) / (top - bottom)) * (HEIGHT - EDGE.top - EDGE.bottom);

  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": sentence(title, lines) });
  for (const value of steps) {
    drawing.append(svg("line", { class: "grid", x1: EDGE.left, x2: WIDTH - EDGE.right, y1: y(value), y2: y(value) }));
    drawing.append(svg("text", { x: EDGE.left - 6, y: y(value) + 4, "text-anchor": "end" }, String(value)));
  }
  drawing.append(svg("text", { x: EDGE.left, y: HEIGHT - 6 }, day.format(first)));
  drawing.append(svg("text", { x: WIDTH - EDGE.right, y: HEIGHT - 6, "text-anchor": "end" }, day.format(last)));
  lines.forEach(({ label, points }, number) => {
    const places = points.map(({ time, value }) => `${x(time).toFixed(1)},${y(value).toFixed(1)}`);
    drawing.append(svg("polyline", { class: `line line-${number}`, points: places.join(" ") }));
    const radius = points.length > MANY ? 1.3 : 2.4;
    for (const point of points) {
      const dot = svg("circle", { class: `dot line-${number}`, cx: x(point.time), cy: y(point.value), r: radius });
      dot.append(svg("title", {}, `${label} ${point.value} ${point.unit}, ${moment.format(point.time)}`.trim()));
      drawing.append(dot);
    }
  });
  return drawing;
}

/** What the picture shows, for those who do not see it. */
function sentence(title, lines) {
  const parts = lines.map(({ label, points }) => {
    const values = points.map(({ value }) => value);
    return `${label} ${points.length} values from ${Math.min(...values)} to ${Math.max(...values)} ${points[0].unit}`.trim();
  });
  return `${title}: ${parts.join("; ")}`;
}

function table(title, lines) {
  const rows = lines
    .flatMap(({ label, points }) => points.map((point) => ({ label, ...point })))
    .sort((one, other) => other.time - one.time)
    .slice(0, ROWS)
    .map(({ time, label, value, unit }) =>
      html("tr", {}, html("td", {}, moment.format(time)), html("td", {}, `${label} ${value} ${unit}`.trim())),
    );
  const head = html("tr", {}, ...["When", "Value"].map((text) => html("th", { scope: "col", textContent: text })));
  const caption = html("caption", { textContent: `${title}: the newest values` });
  const summary = html("summary", { textContent: "Newest values" }, html("span", { className: "aside" }, ` of ${title}`));
  return html("details", {}, summary, html("table", {}, caption, html("thead", {}, head), html("tbody", {}, ...rows)));
}

/** The card of one vital sign. */
export function draw({ title, lines }) {
  const newest = lines.map(({ points }) => points[points.length - 1]);
  const value = html("p", { className: "newest" }, newest.map((point) => point.value).join(" / "));
  value.append(html("span", { className: "unit" }, ` ${newest[0].unit}`));
  const labels = lines.map(({ label }) => label).filter(Boolean).join(" / ");
  const time = moment.format(Math.max(...newest.map((point) => point.time)));
  const when = html("p", { className: "note" }, [labels, time].filter(Boolean).join(", "));
  const card = html("article", { className: "card" }, html("h2", { textContent: title }), value, when);
  card.append(picture(title, lines), table(title, lines));
  card.dataset.points = String(lines.reduce((sum, { points }) => sum + points.length, 0));
  return card;
}
