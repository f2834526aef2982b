// The cameras by site, and the pictures of those that can be seen.
const TICK_MS = 200;
const PICTURE_MS = 1000; // from one picture of a camera to the next; of the one that is large as fast as they come
const AGAIN_MS = 5000; // after one that did not come
const AT_ONCE = 6; // requests, of which a browser has six to one server over HTTP/1.1
const FEW = 12; // cameras have large tiles
const WORDS = {
  flowing: "flows", not_started: "not started", silent: "shard silent", missing: "not at its shard", opening: "is opened",
  unknown: "its shard hangs", failed: "cannot be used",
};

export const words = (state) => WORDS[state] ?? state;
export const when = (unix) => new Date(1000 * unix).toLocaleTimeString();

export class Cameras {
  constructor(box) {
    this.box = box;
    this.tiles = new Map();
    this.sites = new Map();
    this.wantsPictures = true;
    this.asked = 0;
    this.seen = new IntersectionObserver((changes) => { for (const { target, isIntersecting } of changes) target.isSeen = isIntersecting; });
    box.addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("keydown", (event) => { if (event.key === "Escape") this.enlarge(null); });
    setInterval(() => this.look(), TICK_MS);
  }

  told(cameras) {
    this.box.classList.toggle("few", cameras.length <= FEW);
    const keys = new Set();
    for (const camera of cameras) {
      const key = `${camera.shard}/${camera.name}`;
      keys.add(key);
      this.describe(this.tiles.get(key) ?? this.add(key, camera), camera);
    }
    for (const [key, tile] of this.tiles) {
      if (keys.has(key)) continue;
      this.seen.unobserve(tile);
      tile.remove();
      this.tiles.delete(key);
    }
    for (const [name, site] of this.sites) {
      const mine = cameras.filter((camera) => camera.site === name);
      if (!mine.length) { site.remove(); this.sites.delete(name); continue; }
      put(site.querySelector(".count"), `${mine.filter((camera) => camera.state === "flowing").length} of ${mine.length} flow`);
    }
  }

  site(name) {
    if (!this.sites.has(name)) {
      const site = document.createElement("details");
      site.className = "site";
      site.open = true;
      site.innerHTML = '<summary><span class="called"></span><span class="count"></span></summary><div class="tiles"></div>';
      site.querySelector(".called").textContent = name;
      this.sites.set(name, site);
      this.box.append(site);
    }
    return this.sites.get(name).querySelector(".tiles");
  }

  add(key, camera) {
    const tile = document.createElement("article");
    tile.className = "tile";
    tile.tabIndex = 0;
    tile.dataset.camera = key;
    tile.innerHTML = `<div class="screen"><canvas width="320" height="180"></canvas><div class="why"></div></div>
      <div class="about"><span class="name"></span> <span class="state"></span><span class="figures"></span>
      <span class="place"></span><span class="persons"></span></div>`;
    tile.querySelector(".name").textContent = camera.name;
    tile.parts = Object.fromEntries(["state", "figures", "place", "persons", "why"].map((part) => [part, tile.querySelector(`.${part}`)]));
    tile.address = `snapshot/${encodeURIComponent(camera.shard)}/${encodeURIComponent(camera.name)}.jpg`;
    tile.dueMs = 0;
    tile.addEventListener("click", () => this.enlarge(tile.classList.contains("large") ? null : tile));
    this.cover(tile, ["waiting for a picture"]);
    this.tiles.set(key, tile);
    this.site(camera.site).append(tile);
    this.seen.observe(tile);
    return tile;
  }

  describe(tile, camera) {
    tile.camera = camera;
    const since = camera.since == null ? "" : ` since ${when(camera.since)}`;
    const state = `${words(camera.state)}${since}`;
    put(tile.parts.state, state);
    tile.parts.state.className = `state ${camera.state}`;
    const age = camera.age_ms == null ? "" : ` · ${Math.round(camera.age_ms)} ms`;
    put(tile.parts.figures, camera.state === "flowing" ? `${camera.fps} fps${age}` : "");
    put(tile.parts.place, `${camera.shard}${camera.host ? ` on ${camera.host}` : ""}${camera.in_plan ? "" : ", not in the plan"}`);
    const persons = Object.entries(camera.persons).map(([label, count]) => `${count} ${label.replaceAll("_", " ")}`).join(", ");
    put(tile.parts.persons, camera.state === "flowing" ? persons || "nobody seen" : "");
    tile.setAttribute("aria-label", `${camera.name}: ${state}`);
    tile.found = `${camera.name} ${camera.site} ${camera.shard} ${camera.host} ${words(camera.state)}`.toLowerCase();
    if (camera.state !== "flowing") this.cover(tile, [state, ...camera.why.slice(1)]);
    else if (tile.isCovered === "not flowing") this.cover(tile, ["waiting for a picture"], "waiting");
  }

  // Which cameras are shown: how many.
  choose(search, site, onlyTroubled) {
    const wanted = search.toLowerCase().split(/\s+/).filter(Boolean);
    const shown = new Map([...this.sites.keys()].map((name) => [name, 0]));
    for (const tile of this.tiles.values()) {
      const { camera } = tile;
      const isShown = (!site || camera.site === site) && !(onlyTroubled && camera.state === "flowing") && wanted.every((word) => tile.found.includes(word));
      if (tile.hidden === isShown) tile.hidden = !isShown;
      if (isShown) shown.set(camera.site, shown.get(camera.site) + 1);
    }
    for (const [name, section] of this.sites) section.hidden = !shown.get(name);
    return [...shown.values()].reduce((sum, count) => sum + count, 0);
  }

  // Ask for pictures that can be seen, the one that has waited longest first, and for no others.
  look() {
    const large = this.box.querySelector(".large");
    const now = Date.now();
    const wanted = [];
    for (const tile of this.tiles.values()) {
      const isWanted = !document.hidden && tile.camera?.state === "flowing" && (large ? tile === large : tile.isSeen && !tile.hidden && this.wantsPictures);
      if (isWanted && !tile.isAsked && tile.dueMs <= now) wanted.push(tile);
      // nobody brings the pictures of the others: what they show is not of now when they are seen again
      if (!isWanted && tile.isCovered === "") this.cover(tile, ["waiting for a picture"], "waiting");
    }
    wanted.sort((one, other) => one.dueMs - other.dueMs);
    for (const tile of wanted.slice(0, AT_ONCE - this.asked)) this.ask(tile);
  }

  async ask(tile) {
    const beganMs = Date.now(), cover = tile.cover;
    tile.isAsked = true;
    this.asked += 1;
    try {
      const answer = await fetch(tile.address, { signal: AbortSignal.timeout(8000) });
      if (answer.status === 503) throw new Error("no picture comes");
      if (!answer.ok) throw new Error((await answer.text()).trim() || `no picture: ${answer.status}`);
      const picture = await createImageBitmap(await answer.blob());
      if (tile.cover === cover || tile.isCovered === "waiting") this.draw(tile, picture);
      picture.close();
      tile.dueMs = tile.classList.contains("large") ? 0 : beganMs + PICTURE_MS;
    } catch (error) {
      if (tile.camera.state === "flowing") this.cover(tile, [error.name === "TimeoutError" ? "no picture within 8 s" : error.message], "waiting");
      tile.dueMs = Date.now() + AGAIN_MS;
    } finally {
      tile.isAsked = false;
      this.asked -= 1;
    }
  }

  draw(tile, picture) {
    const canvas = tile.querySelector("canvas");
    if (canvas.width !== picture.width || canvas.height !== picture.height) Object.assign(canvas, { width: picture.width, height: picture.height });
    canvas.getContext("2d").drawImage(picture, 0, 0);
    canvas.dataset.drawn = 1 + Number(canvas.dataset.drawn ?? 0);
    tile.isCovered = "";
    tile.parts.why.hidden = true;
  }

  // Words in place of the picture; one that is still under way does not take them away again.
  cover(tile, lines, why = "not flowing") {
    const said = lines.join("\n");
    if (tile.isCovered === why && tile.said === said) return;
    Object.assign(tile, { isCovered: why, said, cover: (tile.cover ?? 0) + 1 });
    tile.parts.why.hidden = false;
    tile.parts.why.replaceChildren(...lines.map((line, index) => Object.assign(document.createElement(index ? "span" : "b"), { textContent: line })));
  }

  // Whatever is known of the cameras is old.
  lost() {
    for (const tile of this.tiles.values()) {
      tile.camera = { ...tile.camera, state: "unknown" };
      this.cover(tile, ["no connection to the fleet's page"]);
      for (const part of ["state", "figures", "persons"]) put(tile.parts[part], "");
    }
  }

  enlarge(tile) {
    const large = this.box.querySelector(".large");
    large?.classList.remove("large");
    tile?.classList.add("large");
    if (tile) tile.dueMs = 0;
    (tile ?? large)?.focus();
  }

  key(event) {
    const tile = event.target.closest(".tile");
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!tile) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.enlarge(tile.classList.contains("large") ? null : tile);
    } else if (step) {
      event.preventDefault();
      const all = [...this.tiles.values()].filter((other) => !other.hidden);
      const next = all[(all.indexOf(tile) + step + all.length) % all.length];
      if (tile.classList.contains("large")) this.enlarge(next); else next.focus();
    }
  }
}

function put(element, said) {
  if (element.textContent !== said) element.textContent = said;
}
