// Makes one element like another with as few changes as can be, so that focus, selection and open details stay.

// What the reader changed is the reader's.
const kept = (element, name) => element.localName === "details" && name === "open";

const morphAttributes = (from, to) => {
  for (const { name, value } of [...to.attributes]) {
    if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
  for (const { name } of [...from.attributes]) {
    if (!to.hasAttribute(name) && !kept(from, name)) from.removeAttribute(name);
  }
};

const alike = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id ?? "") === (b.id ?? "");

export const morph = (from, to) => {
  morphAttributes(from, to);
  const fresh = [...to.childNodes];
  fresh.forEach((node, i) => {
    const old = from.childNodes[i];
    if (!old) from.append(node);
    else if (!alike(old, node)) old.replaceWith(node);
    else if (node.nodeType === Node.ELEMENT_NODE) morph(old, node);
    else if (old.nodeValue !== node.nodeValue) old.nodeValue = node.nodeValue;
  });
  while (from.childNodes.length > fresh.length) from.lastChild.remove();
};

// A list of elements with ids: which there are, in order; those that stay keep their content.
export const morphList = (from, to) => {
  const wanted = [...to.children].map((child) => document.getElementById(child.id) ?? child);
  const same = wanted.length === from.children.length && wanted.every((child, i) => child === from.children[i]);
  if (!same) from.replaceChildren(...wanted);
};
