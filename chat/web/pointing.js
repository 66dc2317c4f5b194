// Pointing at the picture with mouse, finger or keys, and new pictures. Runs behind stage.js, in the
// same scope.
// Pixels of the picture, from a place on the screen.
function place(event) {
  const area = canvas.getBoundingClientRect();
  const clamp = (share) => Math.min(1, Math.max(0, share));
  return [clamp((event.clientX - area.left) / area.width) * picture.width,
    clamp((event.clientY - area.top) / area.height) * picture.height];
}

function under(point) {
  let best = null, least = Infinity;
  for (const [name, {hit}] of layers) {
    if (hidden.has(name) || hit.area >= least) continue;
    const x = Math.min(hit.pixels.width - 1, Math.floor(point[0] / picture.width * hit.pixels.width));
    const y = Math.min(hit.pixels.height - 1, Math.floor(point[1] / picture.height * hit.pixels.height));
    if (hit.pixels.data[4 * (y * hit.pixels.width + x) + 3] > 127) { best = name; least = hit.area; }
  }
  return best;
}

function put(node, point, other) {
  const [x0, y0] = [Math.min(point[0], other[0]), Math.min(point[1], other[1])];
  const [x1, y1] = [Math.max(point[0], other[0]), Math.max(point[1], other[1])];
  const [sx, sy] = [canvas.clientWidth / picture.width, canvas.clientHeight / picture.height];
  Object.assign(node.style, {
    left: canvas.offsetLeft + x0 * sx + 'px', top: canvas.offsetTop + y0 * sy + 'px',
    width: (x1 - x0) * sx + 'px', height: (y1 - y0) * sy + 'px',
  });
  node.hidden = false;
}

function describe(name, event) {
  const layer = layers.get(name);
  tip.hidden = !layer;
  if (!layer) return;
  const made = {person: 'pointed at', answer: 'from an answer'}[layer.view.origin] || 'from ' + layer.view.origin;
  tip.replaceChildren(make('b', '', layer.view.label),
    make('span', '', layer.view.share.toFixed(1) + ' % of the picture · ' + made));
  const area = frame.getBoundingClientRect();
  tip.style.left = Math.min(event.clientX - area.left + 14, area.width - tip.offsetWidth - 6) + 'px';
  tip.style.top = event.clientY - area.top + 18 + 'px';
}

function point(values) {
  $('.said').textContent = 'Looking there …';
  trigger('point', values);
}

let from = null;
const bigger = (a, b) => Math.max(Math.abs(a[0] - b[0]) * canvas.clientWidth / picture.width,
  Math.abs(a[1] - b[1]) * canvas.clientHeight / picture.height);
canvas.addEventListener('pointerdown', (event) => {
  if (event.button !== 0 || !event.isPrimary) return;
  from = place(event);
  cross.hidden = true;
  if (event.pointerType === 'mouse' || drawing) canvas.setPointerCapture(event.pointerId);
});
canvas.addEventListener('pointermove', (event) => {
  const now = place(event);
  if (from && (event.pointerType === 'mouse' || drawing) && bigger(from, now) > 6) {
    tip.hidden = true;
    put(rubber, from, now);
  } else if (event.pointerType === 'mouse' && !from) {
    const name = under(now);
    look(name);
    describe(name, event);
  }
});
canvas.addEventListener('pointerup', (event) => {
  if (!from) return;
  const now = place(event), start = from, dragged = !rubber.hidden;
  from = null;
  rubber.hidden = true;
  if (dragged) {
    point({box: [Math.min(start[0], now[0]), Math.min(start[1], now[1]), Math.max(start[0], now[0]), Math.max(start[1], now[1])]});
    setDrawing(false);
  } else if (bigger(start, now) <= 6) {
    point({points: [now]});
  }
});
canvas.addEventListener('pointercancel', () => { from = null; rubber.hidden = true; });
canvas.addEventListener('pointerleave', () => { tip.hidden = true; if (!from) look(null); });

// A finger scrolls the page over the picture, unless a box is to be drawn.
function setDrawing(on) {
  drawing = on;
  $('.draw').setAttribute('aria-pressed', String(on));
  frame.classList.toggle('drawing', on);
}
$('.draw').addEventListener('click', () => setDrawing(!drawing));
$('.labels').addEventListener('click', () => {
  showNames = !showNames;
  $('.labels').setAttribute('aria-pressed', String(showNames));
  placeNames();
});
$('.all').addEventListener('click', () => {
  const anyShown = [...layers.keys()].some((name) => !hidden.has(name));
  for (const name of layers.keys()) hidden[anyShown ? 'add' : 'delete'](name);
  for (const box of legend.querySelectorAll('input')) box.checked = !anyShown;
  refresh();
});

let at = null, corner = null;
frame.addEventListener('keydown', (event) => {
  const steps = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
  if (!picture || event.ctrlKey || event.metaKey || event.altKey) return;
  at = at || [picture.width / 2, picture.height / 2];
  if (steps) {
    const reach = event.shiftKey ? 0.01 : 0.04;
    at = [Math.min(picture.width, Math.max(0, at[0] + steps[0] * reach * picture.width)),
      Math.min(picture.height, Math.max(0, at[1] + steps[1] * reach * picture.height))];
    look(under(at));
  } else if (event.key === 'b' || event.key === 'B') {
    corner = at;
  } else if (event.key === 'Enter') {
    if (corner && bigger(corner, at) > 6) {
      point({box: [Math.min(corner[0], at[0]), Math.min(corner[1], at[1]), Math.max(corner[0], at[0]), Math.max(corner[1], at[1])]});
    } else point({points: [at]});
    corner = null;
    rubber.hidden = true;
  } else if (event.key === 'Escape') {
    corner = null;
    rubber.hidden = true;
    cross.hidden = true;
    return;
  } else return;
  event.preventDefault();
  put(cross, at, at);
  if (corner) put(rubber, corner, at);
});
frame.addEventListener('blur', () => { cross.hidden = true; look(null); });

// --- Pictures that come in -----------------------------------------------------------------------

const chooser = () => document.querySelector('#lisa-add-row input[type=file]');
$('.choose').addEventListener('click', () => document.querySelector('#lisa-add')?.click());
$('.example').addEventListener('click', () => trigger('example', {}));
const give = (files) => {
  const input = chooser(), pictures = [...files].filter((file) => file.type.startsWith('image/'));
  if (!input || !pictures.length) return false;
  const list = new DataTransfer();
  pictures.forEach((file) => list.items.add(file));
  input.files = list.files;
  input.dispatchEvent(new Event('change', {bubbles: true}));
  return true;
};
const stage = $('.stage');
stage.addEventListener('dragover', (event) => { event.preventDefault(); stage.classList.add('over'); });
stage.addEventListener('dragleave', () => stage.classList.remove('over'));
stage.addEventListener('drop', (event) => {
  event.preventDefault();
  stage.classList.remove('over');
  give(event.dataTransfer.files);
});
document.addEventListener('paste', (event) => { if (give(event.clipboardData.files)) event.preventDefault(); });
