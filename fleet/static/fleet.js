// The page of a fleet: asks how all cameras are, and shows what is looked for; pictures are asked for by cameras.js.
import { colourOf } from "./chart.js";
import { addEvents } from "./events.js";
import { fill } from "./tables.js";
import { Cameras, words, when } from "./cameras.js";

const STATUS_MS = 2000;
const EVENTS_MS = 5000; // the server asks the shards so often at most
const counted = (number, what) => `${number} ${what}${number === 1 ? "" : "s"}`;
const LABELS = ["mask", "no_mask", "wrong_mask", "unsure"];
const at = (id) => document.getElementById(id);
const text = (id, said) => { at(id).textContent = said; };
const cameras = new Cameras(at("sites"));
let newest = "", wasTold = false;

async function ask(path) {
  const answer = await fetch(path, { signal: AbortSignal.timeout(10000) });
  if (answer.status === 401) location.reload(); // to the form that asks for the token
  if (!answer.ok) throw new Error(`it answers ${answer.status}`);
  return answer.json();
}

async function again(ms, work) {
  try { if (!document.hidden) await work(); } finally { setTimeout(() => again(ms, work), ms); }
}

async function status() {
  let told;
  try { told = await ask("api/status"); } catch (error) { lost(error); return; }
  at("lost").hidden = true;
  document.body.classList.remove("old");
  wasTold = true;
  tell(told);
}

// Nothing that is shown may look like now.
function lost(error) {
  at("lost").hidden = false;
  text("lost", `The fleet's page cannot be reached (${error.message}): what you see is old. Trying again …`);
  document.body.classList.add("old");
  text("summary", wasTold ? "no connection" : "connecting …");
  cameras.lost();
}

function tell(told) {
  const flowing = told.cameras.filter((camera) => camera.state === "flowing");
  const silent = told.shards.filter((shard) => shard.state === "silent");
  document.title = `${told.fleet}: ${flowing.length} of ${told.cameras.length} flow`;
  text("fleet", told.fleet);
  text("summary", `${flowing.length} of ${told.cameras.length} cameras flow` + (silent.length ? `, ${silent.length} of ${counted(told.shards.length, "shard")} silent` : ""));
  const fps = flowing.reduce((sum, camera) => sum + camera.fps, 0);
  text("facts", `${counted(told.shards.length, "shard")} · ${counted(told.sites.length, "site")} · ${Math.round(fps)} fps`);
  offer(told.sites);
  cameras.told(told.cameras);
  choose();
  drawPersons(flowing);
  drawLedger(told);
  fill(at("shards"), ["shard", "state", "cameras", "host", "lives", "epoch"], told.shards.map((shard) => {
    const mine = told.cameras.filter((camera) => camera.shard === shard.name);
    const state = shard.state === "silent" ? `silent since ${when(shard.heard)}` : words(shard.state);
    const mineFlow = mine.filter((camera) => camera.state === "flowing").length;
    return [shard.name, state, `${mineFlow}/${mine.length}`, shard.host || `(${shard.planned_host})`, shard.lives, shard.epoch || "–"];
  }));
}

function offer(sites) {
  const offered = [...at("site").options].slice(1).map((option) => option.value);
  if (offered.join() === sites.map((site) => site.name).join()) return;
  const chosen = at("site").value;
  at("site").replaceChildren(new Option("all sites", ""), ...sites.map((site) => new Option(site.name, site.name)));
  at("site").value = sites.some((site) => site.name === chosen) ? chosen : "";
}

function choose() {
  const shown = cameras.choose(at("search").value, at("site").value, at("troubled").checked);
  text("found", at("search").value || at("site").value || at("troubled").checked ? `${shown} shown` : "");
}

function drawPersons(flowing) {
  const seen = {};
  for (const { persons } of flowing) for (const [label, count] of Object.entries(persons)) seen[label] = (seen[label] ?? 0) + count;
  const labels = [...LABELS, ...Object.keys(seen).filter((label) => !LABELS.includes(label)).sort()];
  at("legend").replaceChildren(...labels.map((label) => {
    const item = document.createElement("li"), dot = document.createElement("i");
    dot.className = colourOf(label, labels);
    item.append(dot, `${seen[label] ?? 0} ${label.replaceAll("_", " ")}`);
    return item;
  }));
}

function drawLedger(told) {
  const rows = [...told.sites.map((site) => [site.name, site.account]), ["all", told.account]];
  const reasons = [...new Set(rows.flatMap(([, account]) => Object.keys(account.dropped)))].sort();
  fill(at("ledger"), ["site", "captured", "shown", "unaccounted", "in flight", ...reasons], rows.map(([name, account]) => [
    name, account.captured, account.shown, account.unaccounted, account.in_flight, ...reasons.map((reason) => account.dropped[reason] ?? 0),
  ]));
}

async function events() {
  let told;
  try { told = await ask("api/events"); } catch { return; } // that the page is lost is said by status()
  const known = told.events.filter((event) => event.id > newest);
  const mine = known.map((event) => ({ ...event, stream: `${event.stream} (${event.shard})`, address: `events/${event.shard}/${event.id}.jpg` }));
  if (mine.length) newest = mine.map((event) => event.id).sort().at(-1);
  addEvents(at("events"), mine);
  const missing = Object.entries(told.unreached);
  text("unreached", missing.length ? `No events of ${missing.map(([shard, why]) => `${shard}: ${why}`).slice(0, 3).join("; ")}${missing.length > 3 ? ` and ${missing.length - 3} more` : ""}.` : "");
}

at("choice").addEventListener("submit", (event) => event.preventDefault());
at("choice").addEventListener("input", () => {
  document.body.classList.toggle("pictureless", !at("pictures").checked);
  cameras.wantsPictures = at("pictures").checked;
  choose();
});
again(STATUS_MS, status);
again(EVENTS_MS, events);
