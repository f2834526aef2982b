// The page: one WebSocket brings pictures, status and events; what cannot be seen is not asked for.
import { drawChart, drawLegend } from "./chart.js";
import { drawLedger, drawStages } from "./tables.js";
import { connectForm } from "./controls.js";
import { addEvents } from "./events.js";
import { Tiles } from "./tiles.js";

const STALE_MS = 2500; // the server says something each second: after so long what is shown is old
const SILENT_MS = 5000; // and after so long the connection is taken for lost
const RETRY_MS = [500, 5000];
const text = (id, words) => { document.getElementById(id).textContent = words; };

const REFUSED = "The server answers, but refuses the live connection. Behind a proxy: it must pass WebSocket on, and web.url must name the address above.";
let socket = null, heardAt = 0, retryMs = RETRY_MS[0], isTold = false, refusals = 0;
const say = (message) => { if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message)); };
const tiles = new Tiles(document.getElementById("tiles"), (names) => say({ watch: names }));

function connect() {
  const address = new URL("live", document.baseURI); // relative: a proxy may show the page below a path
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  const mine = socket = new WebSocket(address);
  let isOpen = false;
  socket.binaryType = "arraybuffer";
  heardAt = Date.now();
  socket.onopen = () => { isOpen = true; events.clear(); };
  socket.onmessage = ({ data }) => {
    if (socket !== mine) return; // given up: what it still brings is old
    heardAt = Date.now();
    retryMs = RETRY_MS[0];
    refusals = 0;
    document.getElementById("lost").hidden = true;
    if (typeof data === "string") told(JSON.parse(data)); else pictured(data, mine);
  };
  socket.onclose = ({ reason }) => { if (socket === mine) lost(isOpen, reason); };
}

function lost(wasOpen, reason) {
  socket = null;
  if (refusals > 1) old(REFUSED);
  else old(`The server ${reason ? `says: ${reason}.` : "cannot be reached: what you see is old."} Trying again …`);
  if (!wasOpen) explainRefusal();
  setTimeout(connect, retryMs);
  retryMs = Math.min(2 * retryMs, RETRY_MS[1]);
}

// Nothing that is shown may look like now.
function old(words) {
  const box = document.getElementById("lost");
  box.hidden = false;
  box.textContent = words;
  document.body.classList.add("old");
  text("summary", isTold ? "no connection" : "connecting …");
  tiles.lost();
}

// A browser does not tell a script why a WebSocket was refused: ask by HTTP.
async function explainRefusal() {
  const answer = await fetch("api/events").catch(() => null);
  if (socket?.readyState === WebSocket.OPEN) return;
  if (answer?.status === 401) location.reload(); // to the form that asks for the token
  refusals = answer?.ok ? refusals + 1 : 0; // once may be a server that has just come
  if (refusals > 1) old(REFUSED);
}

const events = {
  list: document.getElementById("events"),
  clear() { this.list.replaceChildren(); },
};

function told({ status, events: news }) {
  isTold = true;
  document.body.classList.toggle("old", Boolean(status.silent_s)); // the numbers are of then
  const flowing = status.streams.filter((stream) => stream.state === "flowing").length;
  text("summary", status.silent_s
    ? `no word from the pipeline for ${status.silent_s} s`
    : `${status.phase}, ${flowing} of ${status.streams.length} streams flowing`);
  const facts = status.facts ?? {};
  text("facts", ["model", "provider", "detector"].filter((key) => facts[key]).map((key) => facts[key]).join(" · "));
  text("share", status.mask_share.counted ? status.mask_share.text : "");
  text("errors", status.mask_share.adjusted === null ? "" : `Errors known of ${status.mask_share.errors}; the interval allows for this camera's own.`);
  text("misses", facts.misses ? `The detector misses ${facts.misses}.` : "");
  text("limit", status.limited_by ? `Limited by ${status.limited_by}.` : "");
  tiles.told(status.streams);
  drawChart(document.getElementById("chart"), status.persons);
  drawLegend(document.getElementById("legend"), status.persons);
  drawLedger(document.getElementById("ledger"), status.streams);
  drawStages(document.getElementById("stages"), status.stages);
  addEvents(events.list, news);
}

async function pictured(data, from) {
  const length = new DataView(data).getUint16(0);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 2, length)));
  try {
    await tiles.pictured(head, new Blob([new Uint8Array(data, 2 + length)], { type: "image/jpeg" }));
  } finally {
    if (socket === from) say({ got: head.stream }); // only now is the next one sent
  }
}

setInterval(() => {
  const silentMs = socket ? Date.now() - heardAt : 0;
  if (silentMs > SILENT_MS) { const silent = socket; lost(silent.readyState === WebSocket.OPEN); silent.close(); }
  else if (silentMs > STALE_MS && isTold) old(`Nothing heard from the server for ${Math.round(silentMs / 1000)} s: what you see is old.`);
}, 500);
document.addEventListener("visibilitychange", () => tiles.watch());
connectForm(document.getElementById("add"));
connect();
