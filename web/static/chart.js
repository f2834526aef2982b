// Shares of persons by label, one column for each step of time.
const KNOWN = ["mask", "no_mask", "wrong_mask", "unsure"];
const SVG = "http://www.w3.org/2000/svg";
const COLUMNS = 60;

export function colourOf(label, labels) {
  if (KNOWN.includes(label)) return `label-${label}`;
  return `label-other${labels.filter((other) => !KNOWN.includes(other)).indexOf(label) % 4}`;
}

function labelsOf(persons) {
  const found = new Set(persons.steps.flatMap(([, counts]) => Object.keys(counts)));
  const others = [...found].filter((label) => !KNOWN.includes(label)).sort();
  return [...KNOWN.slice(0, 3).filter((label) => found.has(label)), ...others, ...(found.has("unsure") ? ["unsure"] : [])];
}

export function drawChart(box, persons) {
  const labels = labelsOf(persons);
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${COLUMNS} 100`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  const newest = persons.now;
  let said = "nobody was seen lately";
  for (const [step, counts] of persons.steps) {
    const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
    let top = 100;
    if (total && step > newest - 60) said = labels.map((label) => `${Math.round((100 * (counts[label] ?? 0)) / total)} % ${label.replaceAll("_", " ")}`).join(", ");
    for (const label of labels) {
      const height = total ? (100 * (counts[label] ?? 0)) / total : 0;
      if (!height) continue;
      const bar = document.createElementNS(SVG, "rect");
      top -= height;
      for (const [name, value] of Object.entries({ x: COLUMNS - 1 - (newest - step) / persons.step_s, y: top, width: 0.92, height })) bar.setAttribute(name, value);
      bar.setAttribute("class", colourOf(label, labels));
      svg.append(bar);
    }
  }
  svg.setAttribute("aria-label", `Share of persons by label; last: ${said}`);
  box.replaceChildren(svg);
}

export function drawLegend(list, persons) {
  const labels = labelsOf(persons);
  const totals = {};
  for (const [step, counts] of persons.steps) if (step > persons.now - 60) for (const [label, count] of Object.entries(counts)) totals[label] = (totals[label] ?? 0) + count;
  const all = Object.values(totals).reduce((sum, count) => sum + count, 0);
  list.replaceChildren(...labels.map((label) => {
    const item = document.createElement("li"), dot = document.createElement("i");
    dot.className = colourOf(label, labels);
    item.append(dot, `${label.replaceAll("_", " ")} ${all ? Math.round((100 * (totals[label] ?? 0)) / all) : 0} %`);
    return item;
  }));
  if (labels.length) list.append(Object.assign(document.createElement("li"), { textContent: "(last minute)" }));
}
