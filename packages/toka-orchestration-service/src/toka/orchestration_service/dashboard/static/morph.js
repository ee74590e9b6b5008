// Makes one tree like another with the least change, so that focus, scrolling, open details and
// half-written forms stay as they are.
const same = (one, other) =>
  one.nodeType === other.nodeType && one.nodeName === other.nodeName
  && key(one) === key(other);

const key = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.id || node.dataset.key || "" : "");

const attributes = (now, next) => {
  for (const { name } of [...now.attributes]) {
    if (!next.hasAttribute(name) && name !== "open") now.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) {
    if (now.getAttribute(name) !== value && name !== "open") now.setAttribute(name, value);
  }
};

export const morph = (now, next) => {
  if (now.nodeType !== Node.ELEMENT_NODE) {
    if (now.nodeValue !== next.nodeValue) now.nodeValue = next.nodeValue;
    return;
  }
  if (now.hasAttribute("data-keep")) return;
  attributes(now, next);
  children(now, next);
};

const children = (now, next) => {
  const kept = new Map();
  for (const child of now.children) if (key(child)) kept.set(key(child), child);
  let place = now.firstChild;
  for (const wanted of [...next.childNodes]) {
    const found = kept.get(key(wanted));
    if (found && key(wanted) && same(found, wanted)) {
      if (found === place) place = place.nextSibling;
      else now.insertBefore(found, place);
      morph(found, wanted);
    } else if (place && same(place, wanted)) {
      const following = place.nextSibling;
      morph(place, wanted);
      place = following;
    } else {
      now.insertBefore(document.importNode(wanted, true), place);
    }
  }
  while (place) {
    const following = place.nextSibling;
    place.remove();
    place = following;
  }
};
