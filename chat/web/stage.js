// The picture with its masks, drawn on a canvas; their legend; the row of all pictures.
const frame = $('.frame'), canvas = $('canvas'), names = $('.names'), rubber = $('.rubber');
const cross = $('.cross'), tip = $('.tip'), legend = $('.legend'), strip = $('.strip');
const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
const hidden = new Set();   // names of segments that are switched off
const layers = new Map();   // name -> {view, mask, hit, fill, ring, since}
let photo = null, source = '', lit = null, drawing = false, showNames = true, picture = null, shows = 0;

const load = (url) => new Promise((done, failed) => {
  const image = new Image();
  image.onload = () => done(image);
  image.onerror = failed;
  image.src = url;
});

// --- What is shown -------------------------------------------------------------------------------

async function show() {
  const value = props.value || {}, order = ++shows;
  $('.empty').hidden = Boolean(value.picture);
  $('.shown').hidden = !value.picture;
  if (!value.picture) {
    picture = null; photo = null; source = '';
    layers.clear(); hidden.clear();
    return;
  }
  if (!picture || picture.number !== value.picture.number) layers.clear();
  picture = value.picture;
  $('.name').textContent = picture.name || 'Picture ' + picture.number;
  if (props.source !== source) {
    source = props.source;
    photo = source ? await load(source) : null;
  }
  const known = new Set(value.segments.map((one) => one.name));
  for (const name of [...layers.keys()]) if (!known.has(name)) layers.delete(name);
  for (const name of [...hidden]) if (!known.has(name)) hidden.delete(name);
  await Promise.all(value.segments.map(async (view) => {
    const old = layers.get(view.name);
    if (old && old.view.mask === view.mask) { old.view = view; return; }
    const mask = await load(view.mask);
    if (order === shows) layers.set(view.name, {view, mask, hit: hitMap(mask), since: performance.now()});
  }));
  if (order !== shows) return;   // a newer one has come while masks were read
  fit();
  writeLegend(value.segments);
  writeStrip(value.pictures);
  drawGraph(value.relations, value.segments);
}

function hitMap(mask) {
  const scale = Math.min(1, 320 / Math.max(mask.width, mask.height));
  const small = Object.assign(document.createElement('canvas'), {
    width: Math.max(1, Math.round(mask.width * scale)),
    height: Math.max(1, Math.round(mask.height * scale)),
  });
  const pen = small.getContext('2d', {willReadFrequently: true});
  pen.drawImage(mask, 0, 0, small.width, small.height);
  const pixels = pen.getImageData(0, 0, small.width, small.height);
  let area = 0;
  for (let i = 3; i < pixels.data.length; i += 4) area += pixels.data[i] > 127 ? 1 : 0;
  return {pixels, area: area / (small.width * small.height)};
}

// The canvas has as many pixels as the screen shows, so outlines are sharp on small pictures too.
function fit() {
  if (!picture || !frame.clientWidth) return;
  const tallest = Math.max(160, parseFloat(getComputedStyle(frame).getPropertyValue('--tallest'))
    * innerHeight / 100);
  const scale = Math.min(frame.clientWidth / picture.width, tallest / picture.height);
  const width = Math.round(picture.width * scale), height = Math.round(picture.height * scale);
  const dense = Math.min(2, devicePixelRatio || 1);
  canvas.style.width = width + 'px';
  canvas.style.height = height + 'px';
  if (canvas.width !== Math.round(width * dense) || canvas.height !== Math.round(height * dense)) {
    canvas.width = Math.round(width * dense);
    canvas.height = Math.round(height * dense);
    for (const layer of layers.values()) layer.fill = null;
  }
  for (const layer of layers.values()) if (!layer.fill) paint(layer, dense);
  placeNames();
  draw();
}

function sheet(work) {
  const made = Object.assign(document.createElement('canvas'), {
    width: canvas.width, height: canvas.height,
  });
  work(made.getContext('2d'), made);
  return made;
}

function tinted(mask, colour) {
  return sheet((pen, made) => {
    pen.drawImage(mask, 0, 0, made.width, made.height);
    pen.globalCompositeOperation = 'source-in';
    pen.fillStyle = colour;
    pen.fillRect(0, 0, made.width, made.height);
  });
}

function paint(layer, dense) {
  layer.fill = tinted(layer.mask, layer.view.colour);
  const pale = tinted(layer.mask, '#ffffff');
  const around = (pen, what, reach) => {
    for (let turn = 0; turn < 16; turn++) {
      const angle = turn * Math.PI / 8;
      pen.drawImage(what, reach * Math.cos(angle), reach * Math.sin(angle));
    }
  };
  layer.ring = sheet((pen) => {
    around(pen, pale, 3 * dense);
    around(pen, layer.fill, 2 * dense);
    pen.globalCompositeOperation = 'destination-out';
    pen.drawImage(layer.fill, 0, 0);
  });
}

function draw() {
  const pen = canvas.getContext('2d');
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.imageSmoothingQuality = 'high';
  if (photo) pen.drawImage(photo, 0, 0, canvas.width, canvas.height);
  const now = performance.now();
  let moving = false;
  for (const [name, layer] of layers) {
    if (hidden.has(name) || !layer.fill) continue;
    const grown = calm ? 1 : Math.min(1, (now - layer.since) / 350);
    moving = moving || grown < 1;
    pen.globalAlpha = grown * (lit === null ? 0.4 : lit === name ? 0.55 : 0.1);
    pen.drawImage(layer.fill, 0, 0);
    pen.globalAlpha = grown * (lit === null || lit === name ? 1 : 0.3);
    pen.drawImage(layer.ring, 0, 0);
  }
  pen.globalAlpha = 1;
  if (moving) requestAnimationFrame(draw);
}

function placeNames() {
  names.replaceChildren();
  names.style.width = canvas.style.width;
  names.style.height = canvas.style.height;
  if (!showNames) return;
  for (const [name, layer] of layers) {
    const box = layer.view.box;
    if (hidden.has(name) || !box) continue;
    const label = make('span', lit === name ? 'lit' : '', layers.size > 8 && lit !== name ? name : layer.view.label);
    label.style.left = Math.min(94, Math.max(6, 50 * (box[0] + box[2]) / picture.width)) + '%';
    label.style.top = Math.max(0, 100 * box[1] / picture.height) + '%';
    label.style.background = layer.view.colour;
    label.style.color = layer.view.ink;
    names.append(label);
  }
  // A label that would leave the picture is moved inside.
  for (const label of names.children) {
    const over = label.offsetLeft + label.offsetWidth / 2 - names.clientWidth;
    const under = label.offsetWidth / 2 - label.offsetLeft;
    if (over > 0) label.style.left = label.offsetLeft - over + 'px';
    else if (under > 0) label.style.left = label.offsetLeft + under + 'px';
  }
}

// --- Legend and pictures -------------------------------------------------------------------------

function writeLegend(segments) {
  legend.replaceChildren(...segments.map((one) => {
    const row = make('li');
    row.dataset.name = one.name;
    const label = make('label');
    const box = Object.assign(make('input'), {type: 'checkbox', checked: !hidden.has(one.name)});
    box.style.setProperty('--colour', one.colour);
    box.style.setProperty('--ink', one.ink);
    box.setAttribute('aria-label', 'Show ' + one.label);
    box.addEventListener('change', () => {
      hidden[box.checked ? 'delete' : 'add'](one.name);
      refresh();
    });
    label.append(box, make('span', 'label', one.label));
    const share = make('span', 'share', (one.share < 10 ? one.share.toFixed(1) : Math.round(one.share)) + ' %');
    share.title = 'Share of the picture';
    const ask = Object.assign(make('button', 'ask', 'Ask'), {type: 'button', title: 'Write ' + one.name + ' into the question'});
    ask.setAttribute('aria-label', 'Ask about ' + one.label);
    ask.addEventListener('click', () => document.dispatchEvent(new CustomEvent('lisa:mention', {detail: one.name})));
    row.append(label, share, ask);
    row.addEventListener('pointerenter', () => look(one.name));
    row.addEventListener('pointerleave', () => look(null));
    row.addEventListener('focusin', () => look(one.name));
    row.addEventListener('focusout', () => look(null));
    return row;
  }));
  refresh();
}

function refresh() {
  const all = [...layers.keys()];
  $('.all').setAttribute('aria-pressed', String(!all.length || all.some((name) => !hidden.has(name))));
  for (const row of legend.children) row.classList.toggle('lit', row.dataset.name === lit);
  placeNames();
  draw();
}

function look(name, tell = true) {
  if (lit === name) return;
  lit = name;
  refresh();
  if (tell) document.dispatchEvent(new CustomEvent('lisa:look', {detail: name}));
}
document.addEventListener('lisa:look', (event) => look(layers.has(event.detail) ? event.detail : null, false));

function writeStrip(pictures) {
  strip.hidden = pictures.length < 2;
  strip.replaceChildren(...pictures.map((one) => {
    const button = Object.assign(make('button'), {type: 'button', title: one.name});
    button.setAttribute('aria-label', 'Picture ' + one.number + ': ' + one.name);
    button.setAttribute('aria-pressed', String(one.number === picture.number));
    const thumb = Object.assign(make('img'), {src: one.thumb, alt: ''});
    button.append(thumb, make('span', '', String(one.number)));
    button.addEventListener('click', () => trigger('turn_to', {number: one.number}));
    return button;
  }));
}

new ResizeObserver(fit).observe(frame);
watch(['value', 'source'], () => { $('.said').textContent = (props.value || {}).said || ''; show(); });
queueMicrotask(show);   // when the scripts behind this one have run
