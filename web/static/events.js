// What happened, newest first.
const SHOWN = 100;

export function addEvents(list, events) {
  for (const event of events) {
    const item = document.createElement("li");
    const picture = document.createElement(event.picture ? "img" : "span");
    if (event.picture) Object.assign(picture, { src: event.address ?? `events/${event.id}.jpg`, alt: "", loading: "lazy" });
    else picture.className = "blank";
    const words = document.createElement("div"), what = document.createElement("div"), when = document.createElement("div");
    what.textContent = event.text;
    when.className = "when";
    when.textContent = [
      new Date(event.time).toLocaleTimeString(), event.stream, event.track == null ? "" : `person ${event.track}`,
      event.confidence == null ? "" : `${Math.round(100 * event.confidence)} %`,
    ].filter(Boolean).join(" · ");
    words.append(what, when);
    item.append(picture, words);
    list.prepend(item);
  }
  while (list.children.length > SHOWN) list.lastChild.remove();
}
