// The relations that tools found, as nodes and arrows. Runs behind stage.js, in the same scope.
const SVG = 'http://www.w3.org/2000/svg';
const shape = (tag, values, text) => {
  const node = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(values)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
};

function drawGraph(relations, segments) {
  const panel = $('.graph');
  if (!relations.length) { panel.hidden = true; return; }
  if (panel.hidden) panel.open = innerWidth > 860;
  panel.hidden = false;
  $('.graph .count').textContent = String(relations.length);
  const used = new Set(relations.flatMap((one) => [one.subject, one.object]));
  const nodes = segments.filter((one) => used.has(one.name));
  const wide = 560, tall = nodes.length < 3 ? 150 : 320, at = new Map();
  nodes.forEach((one, place) => {
    const angle = 2 * Math.PI * place / nodes.length - (nodes.length < 3 ? Math.PI : Math.PI / 2);
    at.set(one.name, [wide / 2 + wide * 0.36 * Math.cos(angle), tall / 2 + tall * 0.38 * Math.sin(angle)]);
  });
  const words = relations.map((one) => label(one.subject) + ' ' + one.predicate + ' ' + label(one.object));
  function label(name) { return (segments.find((one) => one.name === name) || {label: name}).label; }
  const cut = (text) => text.length > 17 ? text.slice(0, 16) + '…' : text;
  const halfOf = (name) => 14 + 4.1 * cut(label(name)).length;
  const svg = shape('svg', {viewBox: '0 0 ' + wide + ' ' + tall, role: 'img'});
  svg.append(shape('title', {}, words.join('; ')));
  const pairs = new Map();
  for (const one of relations) {
    const key = one.subject + ' ' + one.object;
    pairs.set(key, {...one, words: [...(pairs.get(key)?.words || []), one.predicate]});
  }
  const texts = [];
  for (const one of pairs.values()) {
    const [x0, y0] = at.get(one.subject), [x1, y1] = at.get(one.object);
    const far = Math.hypot(x1 - x0, y1 - y0) || 1, dx = (x1 - x0) / far, dy = (y1 - y0) / far;
    // Bent to the right, so that the arrow back has its own way.
    const mx = (x0 + x1) / 2 - dy * far * 0.16, my = (y0 + y1) / 2 + dx * far * 0.16;
    const angle = Math.atan2(y1 - my, x1 - mx);
    const stop = 5 + Math.min(halfOf(one.object) / Math.abs(Math.cos(angle)), 16 / Math.abs(Math.sin(angle)));
    const ex = x1 - stop * Math.cos(angle), ey = y1 - stop * Math.sin(angle);
    const tips = [-0.4, 0.4].map((turn) => (ex - 11 * Math.cos(angle + turn)) + ' ' + (ey - 11 * Math.sin(angle + turn)));
    const colour = segments.find((s) => s.name === one.subject).colour;
    svg.append(shape('path', {d: 'M' + x0 + ' ' + y0 + 'Q' + mx + ' ' + my + ' ' + ex + ' ' + ey, class: 'line', stroke: colour}));
    svg.append(shape('path', {d: 'M' + ex + ' ' + ey + 'L' + tips[0] + 'L' + tips[1] + 'Z', fill: colour}));
    texts.push(shape('text', {x: 0.36 * x0 + 0.48 * mx + 0.16 * x1, y: 4 + 0.36 * y0 + 0.48 * my + 0.16 * y1, class: 'words'}, one.words.join(', ')));
  }
  svg.append(...texts);
  for (const one of nodes) {
    const [x, y] = at.get(one.name), short = cut(one.label), half = halfOf(one.name), node = shape('g', {});
    node.append(shape('rect', {x: x - half, y: y - 16, width: 2 * half, height: 32, rx: 16, fill: one.colour}));
    node.append(shape('text', {x, y: y + 5, fill: one.ink}, short));
    node.addEventListener('pointerenter', () => look(one.name));
    node.addEventListener('pointerleave', () => look(null));
    svg.append(node);
  }
  const list = make('ul', 'unseen');
  list.append(...words.map((text) => make('li', '', text)));
  $('.drawing').replaceChildren(svg, list);
}
