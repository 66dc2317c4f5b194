// What the scripts of all parts use. Texts are set as textContent, so none of them becomes HTML.
const $ = (name) => element.querySelector(name);
const make = (tag, className, text) => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
};
