// The account of the frames, and what the stages do.
export function fill(table, heads, rows) {
  const row = (kind, cells) => {
    const line = document.createElement("tr");
    line.append(...cells.map((cell) => Object.assign(document.createElement(kind), { textContent: cell })));
    return line;
  };
  table.replaceChildren(row("th", heads), ...rows.map((cells) => row("td", cells)));
}

export function drawLedger(table, streams) {
  const reasons = [...new Set(streams.flatMap((stream) => Object.keys(stream.dropped)))].sort();
  const corrupt = streams.some((stream) => stream.corrupt) ? ["corrupt"] : [];
  const unrecorded = streams.some((stream) => stream.not_recorded) ? ["not recorded"] : [];
  const skipped = streams.some((stream) => stream.skipped) ? ["skipped"] : [];
  fill(table, ["stream", ...skipped, "captured", "shown", ...unrecorded, ...corrupt, ...reasons, "in flight", "reconnects"], streams.map((stream) => [
    stream.name, ...skipped.map(() => stream.skipped), stream.captured, stream.shown, ...unrecorded.map(() => stream.not_recorded), ...corrupt.map(() => stream.corrupt), ...reasons.map((reason) => stream.dropped[reason] ?? 0), stream.in_flight, stream.reconnects,
  ]));
}

export function drawStages(table, stages) {
  const lost = stages.some((stage) => stage.lost) ? ["not written"] : [];
  fill(table, ["stage", "frames/s", "busy", "cores", "restarts", ...lost], stages.map((stage) => [
    stage.name, stage.fps.toFixed(1), `${Math.round(100 * stage.busy)} %`, stage.cores.toFixed(2), stage.restarts, ...lost.map(() => stage.lost),
  ]));
}
