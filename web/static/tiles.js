// The grid of streams: live pictures, and in words how each one is.
import { change } from "./controls.js";

export class Tiles {
  constructor(box, onWatch) {
    this.box = box;
    this.onWatch = onWatch;
    this.tiles = new Map();
    this.seen = new IntersectionObserver((changes) => {
      for (const { target, isIntersecting } of changes) target.isSeen = isIntersecting;
      this.watch();
    });
    box.addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("keydown", (event) => { if (event.key === "Escape") this.enlarge(null); });
  }

  // Ask for the pictures that can be seen, and no others.
  watch() {
    const large = this.box.querySelector(".large");
    const shown = document.hidden ? [] : [...this.tiles.values()].filter((tile) => large ? tile === large : tile.isSeen);
    const names = shown.map((tile) => tile.dataset.stream);
    this.watched = new Set(names);
    // nobody brings pictures of the others: what they show is not of now when they are seen again
    for (const tile of this.tiles.values()) if (!shown.includes(tile) && tile.isFlowing) this.cover(tile, ["waiting for a picture"]);
    this.onWatch(names);
  }

  // Whatever is known of the streams is old.
  lost() {
    this.watched = null;
    for (const tile of this.tiles.values()) {
      this.cover(tile, ["no connection to the server"]);
      for (const part of ["state", "quality", "figures", "persons"]) tile.querySelector(`.${part}`).textContent = "";
      tile.setAttribute("aria-label", `${tile.dataset.stream}: no connection to the server`);
    }
  }

  // Words in place of the picture; one that is still being decoded does not take them away again.
  cover(tile, lines) {
    tile.pictures = (tile.pictures ?? 0) + 1;
    this.explain(tile, lines);
  }

  told(streams) {
    const names = new Set(streams.map((stream) => stream.name));
    for (const [name, tile] of this.tiles) {
      if (names.has(name)) continue;
      this.seen.unobserve(tile);
      tile.remove();
      this.tiles.delete(name);
      this.watched = null; // so that nobody goes on bringing its pictures
    }
    for (const stream of streams) this.describe(this.tiles.get(stream.name) ?? this.add(stream.name), stream);
    if (this.watched == null) this.watch();
  }

  add(name) {
    const tile = document.createElement("article");
    tile.className = "tile";
    tile.tabIndex = 0;
    tile.dataset.stream = name;
    tile.setAttribute("role", "group"); // it holds buttons of its own
    tile.innerHTML = `<div class="screen"><canvas width="640" height="360"></canvas><div class="why"></div></div>
      <div class="about"><span class="name"></span> <span class="state"></span> <span class="quality"></span>
      <span class="figures"></span><span class="persons"></span>
      <span class="changes"><button class="pause">Pause</button> <button class="remove">Remove</button></span></div>`;
    tile.querySelector(".name").textContent = name;
    tile.querySelector(".changes").addEventListener("click", (event) => {
      event.stopPropagation();
      const path = `/${encodeURIComponent(name)}`;
      if (event.target.matches(".pause")) change("POST", `${path}/${event.target.dataset.action}`, {});
      if (event.target.matches(".remove")) change("DELETE", path);
    });
    tile.addEventListener("click", () => this.enlarge(tile.classList.contains("large") ? null : tile));
    this.cover(tile, ["waiting for a picture"]);
    this.tiles.set(name, tile);
    this.box.append(tile);
    this.seen.observe(tile);
    return tile;
  }

  describe(tile, stream) {
    const put = (part, words, kind = words) => {
      const element = tile.querySelector(`.${part}`);
      element.textContent = words;
      element.className = `${part} ${kind}`;
    };
    const age = stream.age_ms.p50;
    put("state", stream.state);
    put("quality", stream.quality ? `connection ${stream.quality}` : "", stream.quality || "none");
    put("figures", stream.state === "flowing" ? `${stream.fps} fps${stream.still ? ", still" : ""}${age == null ? "" : ` · ${Math.round(age)} ms`}` : "", "");
    const pause = tile.querySelector("button.pause");
    pause.dataset.action = stream.state === "paused" ? "resume" : "pause";
    pause.textContent = stream.state === "paused" ? "Resume" : "Pause";
    pause.hidden = ["ended", "failed"].includes(stream.state);
    const persons = Object.entries(stream.persons).map(([label, count]) => `${count} ${label.replaceAll("_", " ")}`);
    put("persons", persons.join(", ") || "nobody seen", "");
    tile.setAttribute("aria-label", `${stream.name}: ${stream.state}, ${stream.fps} frames per second`);
    tile.isFlowing = ["flowing", "unknown"].includes(stream.state); // unknown: the overlay may well go on
    if (!tile.isFlowing) this.cover(tile, stream.why.length ? stream.why : [stream.state]);
  }

  explain(tile, lines) {
    const why = tile.querySelector(".why");
    why.hidden = false;
    why.replaceChildren(...lines.map((line, index) => {
      const element = document.createElement(index ? "span" : "b");
      element.textContent = line;
      return element;
    }));
  }

  async pictured(head, blob) {
    const tile = this.tiles.get(head.stream);
    if (!tile || !this.watched?.has(head.stream)) return;
    if (!head.real) { if (tile.isFlowing) this.cover(tile, ["no picture comes"]); return; }
    const pictures = tile.pictures;
    const picture = await createImageBitmap(blob);
    if (tile.pictures !== pictures) { picture.close(); return; } // meanwhile it has become old
    const canvas = tile.querySelector("canvas");
    if (canvas.width !== picture.width || canvas.height !== picture.height) {
      canvas.width = picture.width;
      canvas.height = picture.height;
    }
    canvas.getContext("2d").drawImage(picture, 0, 0);
    picture.close();
    canvas.dataset.seq = head.seq;
    if (tile.isFlowing !== false) tile.querySelector(".why").hidden = true;
  }

  enlarge(tile) {
    const large = this.box.querySelector(".large");
    large?.classList.remove("large");
    tile?.classList.add("large");
    (tile ?? large)?.focus();
    if (tile || large) this.watch();
  }

  key(event) {
    const tile = event.target.closest("button") ? null : event.target.closest(".tile");
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!tile) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.enlarge(tile.classList.contains("large") ? null : tile);
    } else if (step) {
      event.preventDefault();
      const all = [...this.tiles.values()];
      const next = all[(all.indexOf(tile) + step + all.length) % all.length];
      if (tile.classList.contains("large")) this.enlarge(next); else next.focus();
    }
  }
}
