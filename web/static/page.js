// The page: one WebSocket brings pictures, status and events; what cannot be seen is not asked for.
import { drawChart, drawLegend } from "./chart.js";
import { drawLedger, drawStages } from "./tables.js";
import { connectForm } from "./controls.js";
import { addEvents } from "./events.js";
import { Tiles } from "./tiles.js";

const SILENT_MS = 5000; // without a word for so long the connection is taken for lost
const RETRY_MS = [500, 5000];
const text = (id, words) => { document.getElementById(id).textContent = words; };

let socket = null, heardAt = 0, retryMs = RETRY_MS[0];
const say = (message) => { if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message)); };
const tiles = new Tiles(document.getElementById("tiles"), (names) => say({ watch: names }));

function connect() {
  const address = new URL("/live", location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(address);
  socket.binaryType = "arraybuffer";
  heardAt = Date.now();
  socket.onopen = () => { events.clear(); };
  socket.onmessage = ({ data }) => {
    heardAt = Date.now();
    retryMs = RETRY_MS[0];
    document.getElementById("lost").hidden = true;
    if (typeof data === "string") told(JSON.parse(data)); else pictured(data);
  };
  socket.onclose = lost;
}

function lost() {
  socket = null;
  const box = document.getElementById("lost");
  box.hidden = false;
  box.textContent = "The server cannot be reached: what you see is old. Trying again …";
  tiles.lost();
  setTimeout(connect, retryMs);
  retryMs = Math.min(2 * retryMs, RETRY_MS[1]);
}

const events = {
  list: document.getElementById("events"),
  clear() { this.list.replaceChildren(); },
};

function told({ status, events: news }) {
  const flowing = status.streams.filter((stream) => stream.state === "flowing").length;
  text("summary", status.silent_s
    ? `no word from the pipeline for ${status.silent_s} s`
    : `${status.phase}, ${flowing} of ${status.streams.length} streams flowing`);
  const facts = status.facts ?? {};
  text("facts", ["model", "provider", "detector"].filter((key) => facts[key]).map((key) => facts[key]).join(" · "));
  text("misses", facts.misses ? `The detector ${facts.misses}.` : "");
  text("limit", status.limited_by ? `Limited by ${status.limited_by}.` : "");
  tiles.told(status.streams);
  drawChart(document.getElementById("chart"), status.persons);
  drawLegend(document.getElementById("legend"), status.persons);
  drawLedger(document.getElementById("ledger"), status.streams);
  drawStages(document.getElementById("stages"), status.stages);
  addEvents(events.list, news);
}

async function pictured(data) {
  const length = new DataView(data).getUint16(0);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 2, length)));
  try {
    await tiles.pictured(head, new Blob([new Uint8Array(data, 2 + length)], { type: "image/jpeg" }));
  } finally {
    say({ got: head.stream }); // only now is the next one sent
  }
}

setInterval(() => { if (socket && Date.now() - heardAt > SILENT_MS) { socket.onclose = null; socket.close(); lost(); } }, 1000);
document.addEventListener("visibilitychange", () => tiles.watch());
connectForm(document.getElementById("add"));
connect();
